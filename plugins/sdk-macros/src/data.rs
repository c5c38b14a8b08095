//! `#[data]`: the derives of a document's type, with the guest crate's own serde and schemars, so
//! that an author's crate needs neither.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result};

use crate::arguments::Arguments;

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut arguments: Arguments = syn::parse2(arguments)?;
    let strict = arguments.flag("strict").then(|| quote!(#[serde(deny_unknown_fields)]));
    arguments.nothing_left(&["strict"])?;
    let item: DeriveInput = syn::parse2(item)
        .map_err(|error| Error::new(error.span(), format!("#[data] belongs on a struct or an enum: {error}")))?;
    Ok(quote! {
        #[derive(
            Debug, Clone, PartialEq,
            ::grepx_plugin_sdk::serde::Serialize,
            ::grepx_plugin_sdk::serde::Deserialize,
            ::grepx_plugin_sdk::schemars::JsonSchema,
        )]
        #[serde(crate = "::grepx_plugin_sdk::serde")]
        #[schemars(crate = "::grepx_plugin_sdk::schemars")]
        #strict
        #item
    })
}
