// JSON documents as bytes, on engines with and without TextEncoder (QuickJS has none).

const CHUNK = 0x2000;

export function toBytes(value) {
  const text = JSON.stringify(value);
  if (globalThis.TextEncoder) return new TextEncoder().encode(text);
  return Uint8Array.from(unescape(encodeURIComponent(text)), (char) => char.charCodeAt(0));
}

export function fromBytes(bytes) {
  if (globalThis.TextDecoder) return JSON.parse(new TextDecoder().decode(bytes));
  let binary = '';
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + CHUNK));
  }
  return JSON.parse(decodeURIComponent(escape(binary)));
}
