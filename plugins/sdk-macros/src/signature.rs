//! What the parameters and the answer of an author's function mean.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Error, Expr, ExprLit, FnArg, GenericArgument, Lit, Meta, PathArguments, Result, ReturnType, Signature,
    Type,
};

/// The type of the input document, and how a function's arguments are taken out of it.
pub(crate) struct Input {
    pub(crate) document: TokenStream,
    /// After `ctx`, from a variable `input`.
    pub(crate) arguments: TokenStream,
}

/// Types of the parameters behind the first `skipped` ones.
pub(crate) fn parameters(signature: &Signature, skipped: usize) -> Result<Vec<Type>> {
    let types = signature.inputs.iter().map(|input| match input {
        FnArg::Typed(typed) => Ok((*typed.ty).clone()),
        FnArg::Receiver(own) => Err(Error::new_spanned(
            own,
            "a kind has no self: what it needs is in ctx and the input",
        )),
    });
    let types = types.collect::<Result<Vec<Type>>>()?;
    Ok(types.into_iter().skip(skipped).collect())
}

/// `wanted` is the shape for people. `whole`: the one parameter is the document.
pub(crate) fn input(signature: &Signature, whole: bool, wanted: &str) -> Result<Input> {
    if signature.inputs.is_empty() {
        return Err(Error::new_spanned(signature, format!("write {wanted}")));
    }
    let own = parameters(signature, 1)?;
    let sdk = quote!(::grepx_plugin_sdk);
    let map = quote!(#sdk::serde_json::Map<::std::string::String, #sdk::serde_json::Value>);
    Ok(match own.as_slice() {
        [] => Input {
            document: quote!(#sdk::TaskInput<#map>),
            arguments: TokenStream::new(),
        },
        [document] if whole || is(document, "TaskInput") => Input {
            document: quote!(#document),
            arguments: quote!(, input),
        },
        [kwargs] => Input {
            document: quote!(#sdk::TaskInput<#kwargs>),
            arguments: quote!(, input.kwargs),
        },
        [kwargs, config] if !whole => Input {
            document: quote!(#sdk::TaskInput<#kwargs, #config>),
            arguments: quote!(, input.kwargs, input.config),
        },
        _ => {
            return Err(Error::new_spanned(
                &signature.inputs,
                format!("too many parameters: write {wanted}"),
            ));
        }
    })
}

/// The `U` of `Result<U, …>`.
pub(crate) fn answer(signature: &Signature, wanted: &str) -> Result<Type> {
    let refused = || Error::new_spanned(signature, format!("write {wanted}"));
    let ReturnType::Type(_, ty) = &signature.output else {
        return Err(refused());
    };
    arguments_of(ty, "Result").into_iter().next().ok_or_else(refused)
}

/// The types in the angle brackets of a path that ends with `name`.
pub(crate) fn arguments_of(ty: &Type, name: &str) -> Vec<Type> {
    let Type::Path(path) = ty else { return Vec::new() };
    let Some(last) = path.path.segments.last().filter(|last| last.ident == name) else {
        return Vec::new();
    };
    let PathArguments::AngleBracketed(brackets) = &last.arguments else {
        return Vec::new();
    };
    let types = brackets.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    types.collect()
}

fn is(ty: &Type, name: &str) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == name))
}

/// The first paragraph of the documentation, in one line and without its full stop.
pub(crate) fn docs(attributes: &[Attribute]) -> Option<String> {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            }) => Some(text.value().trim().to_owned()),
            _ => None,
        },
        _ => None,
    });
    let first: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
    let text = first.join(" ");
    let text = text.trim_end_matches('.');
    (!text.is_empty()).then(|| text.to_owned())
}
