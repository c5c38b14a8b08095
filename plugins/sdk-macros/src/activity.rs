//! `#[activity]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ItemFn, Result};

use crate::arguments::{Arguments, Described};
use crate::signature;

const WANTED: &str = "fn name(ctx: &Ctx, input: T) -> Result<U, Error>";
const KNOWN: [&str; 5] = ["kind", "summary", "version", "capabilities", "document"];

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut arguments: Arguments = syn::parse2(arguments)?;
    let function: ItemFn = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("#[activity] belongs on a function: {error}")))?;
    let (name, vis) = (&function.sig.ident, &function.vis);
    if let Some(word) = &function.sig.asyncness {
        let problem = "an activity is one call and waits for nothing: take `async` away, or make it #[durable]";
        return Err(Error::new_spanned(word, problem));
    }
    let Described { kind, summary, version } = Described::read(&mut arguments, name, signature::docs(&function.attrs))?;
    let capabilities = arguments.list("capabilities")?;
    let input = signature::input(&function.sig, arguments.flag("document"), WANTED)?;
    arguments.nothing_left(&KNOWN)?;
    let output = signature::answer(&function.sig, WANTED)?;
    let version = version_const(version);
    let (document, given) = (&input.document, &input.arguments);
    let sdk = quote!(::grepx_plugin_sdk);
    Ok(quote! {
        #function

        #[doc = concat!("The kind `", #kind, "`.")]
        #[allow(non_camel_case_types, reason = "named as its function")]
        #[derive(Debug)]
        #vis enum #name {}

        impl #sdk::Activity for #name {
            const KIND: &'static str = #kind;
            const SUMMARY: &'static str = #summary;
            #version
            const CAPABILITIES: &'static [&'static str] = &[#(#capabilities),*];
            type Input = #document;
            type Output = #output;

            fn input_schema() -> #sdk::serde_json::Value {
                #sdk::schema::input_of::<#document>()
            }

            fn output_schema() -> #sdk::serde_json::Value {
                #sdk::schema::output_of::<#output>()
            }

            #[allow(unused_variables, reason = "a kind may read no input")]
            fn run(ctx: &#sdk::Ctx, input: Self::Input) -> ::std::result::Result<Self::Output, #sdk::Error> {
                #name(ctx #given)
            }
        }
    })
}

/// Nothing when it is the crate's.
pub(crate) fn version_const(version: Option<String>) -> Option<TokenStream> {
    version.map(
        |version| quote!(const VERSION: ::std::option::Option<&'static str> = ::std::option::Option::Some(#version);),
    )
}
