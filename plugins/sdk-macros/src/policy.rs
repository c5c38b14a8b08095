//! `#[policy]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

use crate::activity::version_const;
use crate::arguments::{Arguments, Described};
use crate::signature;

const WANTED: &str = "fn name(ctx: &Ctx, failure: &Error, config: T) -> Verdict";
const KNOWN: [&str; 4] = ["kind", "summary", "version", "time_limit"];

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut arguments: Arguments = syn::parse2(arguments)?;
    let function: ItemFn = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("#[policy] belongs on a function: {error}")))?;
    let (name, vis) = (&function.sig.ident, &function.vis);
    if let Some(word) = &function.sig.asyncness {
        return Err(Error::new_spanned(word, "a policy decides at once: take `async` away"));
    }
    let Described { kind, summary, version } = Described::read(&mut arguments, name, signature::docs(&function.attrs))?;
    let limit = arguments.path("time_limit")?;
    arguments.nothing_left(&KNOWN)?;
    let own = signature::parameters(&function.sig, 2)?;
    let [config] = own.as_slice() else {
        return Err(Error::new_spanned(&function.sig, format!("write {WANTED}")));
    };
    let version = version_const(version);
    let sdk = quote!(::grepx_plugin_sdk);
    let option = quote!(::std::option::Option<u64>);
    let limit = limit.map(|limit| {
        quote! {
            fn time_limit(ctx: &#sdk::Ctx, timeout_seconds: #option, config: Self::Config) -> #option {
                #limit(ctx, timeout_seconds, config)
            }
        }
    });
    Ok(quote! {
        #function

        #[doc = concat!("The policy `", #kind, "`.")]
        #[allow(non_camel_case_types, reason = "named as its function")]
        #[derive(Debug)]
        #vis enum #name {}

        impl #sdk::Policy for #name {
            const KIND: &'static str = #kind;
            const SUMMARY: &'static str = #summary;
            #version
            type Config = #config;

            fn config_schema() -> #sdk::serde_json::Value {
                #sdk::schema::input_of::<#config>()
            }

            fn on_failure(ctx: &#sdk::Ctx, failure: &#sdk::Error, config: Self::Config) -> #sdk::Verdict {
                #name(ctx, failure, config)
            }

            #limit
        }
    })
}
