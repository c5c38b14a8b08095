//! Generated from `wit/plugin.wit`; nothing outside of `plugins` sees these types.

#![allow(missing_debug_implementations, unreachable_pub, reason = "generated")]

pub(super) mod activity {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "activity-plugin",
        exports: { default: async },
        // For the descriptors, which are kept beside the compiled code.
        additional_derives: [serde::Serialize, serde::Deserialize],
    });
}

pub(super) mod durable {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "durable-plugin",
        exports: { default: async },
        with: {
            "grepx:plugin/types": super::activity::grepx::plugin::types,
            "grepx:plugin/log": super::activity::grepx::plugin::log,
        },
    });
}

pub(super) mod policy {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "policy-plugin",
        exports: { default: async },
        with: {
            "grepx:plugin/types": super::activity::grepx::plugin::types,
            "grepx:plugin/log": super::activity::grepx::plugin::log,
        },
    });
}

/// What a component may import beside its world.
pub(super) mod extra {
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "with-secrets",
    });
}

pub(super) use activity::grepx::plugin::{log, types};
pub(super) use durable::exports::grepx::plugin::durable as steps;
pub(super) use extra::grepx::plugin::secrets;
pub(super) use policy::exports::grepx::plugin::policy as judge;
