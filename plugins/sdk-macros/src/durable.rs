//! `#[durable]`, on an `impl` block or on an `async fn`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Error, FnArg, ImplItem, ImplItemFn, Item, ItemFn, ItemImpl, Result, Type};

use crate::activity::version_const;
use crate::arguments::{Arguments, Described};
use crate::signature;

const WANTED_ASYNC: &str = "async fn name(ctx: AsyncCtx, input: T) -> Result<U, Error>";
const WANTED_START: &str = "fn start(ctx: &Ctx, input: T) -> Result<Step<U, State>, Error>";
const KNOWN: [&str; 7] = [
    "kind",
    "summary",
    "version",
    "capabilities",
    "state_version",
    "oldest_state",
    "document",
];

pub(crate) fn expand(arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let arguments: Arguments = syn::parse2(arguments)?;
    match syn::parse2::<Item>(item)? {
        Item::Fn(function) => journaled(arguments, &function),
        Item::Impl(block) => explicit(arguments, &block),
        other => Err(Error::new_spanned(
            other,
            "#[durable] belongs on an async fn or on an impl block with start and resume",
        )),
    }
}

/// The constants that both shapes have.
struct Constants {
    whole: bool,
    tokens: TokenStream,
}

fn constants(mut arguments: Arguments, name: &syn::Ident, docs: Option<String>) -> Result<Constants> {
    let Described { kind, summary, version } = Described::read(&mut arguments, name, docs)?;
    let capabilities = arguments.list("capabilities")?;
    let newest = arguments.number("state_version")?.unwrap_or(1);
    let oldest = arguments.number("oldest_state")?.unwrap_or(newest);
    let whole = arguments.flag("document");
    arguments.nothing_left(&KNOWN)?;
    if oldest > newest {
        let problem = format!("oldest_state = {oldest} is newer than state_version = {newest}");
        return Err(Error::new(name.span(), problem));
    }
    let version = version_const(version);
    let tokens = quote! {
        const KIND: &'static str = #kind;
        const SUMMARY: &'static str = #summary;
        #version
        const CAPABILITIES: &'static [&'static str] = &[#(#capabilities),*];
        const STATE_VERSION: u32 = #newest;
        const OLDEST_STATE: u32 = #oldest;
    };
    Ok(Constants { whole, tokens })
}

fn journaled(arguments: Arguments, function: &ItemFn) -> Result<TokenStream> {
    let (name, vis) = (&function.sig.ident, &function.vis);
    if function.sig.asyncness.is_none() {
        return Err(Error::new_spanned(&function.sig, format!("write {WANTED_ASYNC}")));
    }
    let constants = constants(arguments, name, signature::docs(&function.attrs))?;
    let input = signature::input(&function.sig, constants.whole, WANTED_ASYNC)?;
    let output = signature::answer(&function.sig, WANTED_ASYNC)?;
    let by_reference =
        matches!(function.sig.inputs.first(), Some(FnArg::Typed(typed)) if matches!(*typed.ty, Type::Reference(_)));
    let ctx = if by_reference { quote!(&ctx) } else { quote!(ctx) };
    let (document, given, tokens) = (&input.document, &input.arguments, &constants.tokens);
    let sdk = quote!(::grepx_plugin_sdk);
    Ok(quote! {
        #function

        #[doc = "The durable kind of the function with the same name."]
        #[allow(non_camel_case_types, reason = "named as its function")]
        #[derive(Debug)]
        #vis enum #name {}

        impl #sdk::Journaled for #name {
            #tokens
            type Input = #document;
            type Output = #output;

            fn input_schema() -> #sdk::serde_json::Value {
                #sdk::schema::input_of::<#document>()
            }

            fn output_schema() -> #sdk::serde_json::Value {
                #sdk::schema::output_of::<#output>()
            }

            #[allow(unused_variables, reason = "a kind may read no input")]
            async fn run(ctx: #sdk::AsyncCtx, input: Self::Input) -> ::std::result::Result<Self::Output, #sdk::Error> {
                #name(#ctx #given).await
            }
        }
    })
}

fn explicit(arguments: Arguments, block: &ItemImpl) -> Result<TokenStream> {
    let own = &block.self_ty;
    let Type::Path(path) = &**own else {
        return Err(Error::new_spanned(
            own,
            "#[durable] belongs on the impl block of a struct or enum",
        ));
    };
    let Some(name) = path.path.segments.last().map(|last| format_ident!("{}", last.ident)) else {
        return Err(Error::new_spanned(own, "this type has no name"));
    };
    let constants = constants(arguments, &name, signature::docs(&block.attrs))?;
    let function = |wanted: &str| {
        block.items.iter().find_map(|item| match item {
            ImplItem::Fn(function) if function.sig.ident == wanted => Some(function),
            _ => None,
        })
    };
    let missing = |wanted: &str| Error::new_spanned(own, format!("a function is missing: {wanted}"));
    let start = function("start").ok_or_else(|| missing(WANTED_START))?;
    function("resume").ok_or_else(|| {
        missing("fn resume(ctx: &Ctx, state: State, events: Vec<Event>) -> Result<Step<U, State>, Error>")
    })?;
    let input = signature::input(&start.sig, constants.whole, WANTED_START)?;
    let (output, state) = answer(start)?;
    let stop = function("stop").map(|_| forward_stop());
    let migrate = function("migrate").map(|_| forward_migrate());
    let (document, given, tokens) = (&input.document, &input.arguments, &constants.tokens);
    let sdk = quote!(::grepx_plugin_sdk);
    let step = quote!(::std::result::Result<#sdk::Step<Self::Output, Self::State>, #sdk::Error>);
    Ok(quote! {
        #block

        impl #sdk::Durable for #own {
            #tokens
            type Input = #document;
            type Output = #output;
            type State = #state;

            fn input_schema() -> #sdk::serde_json::Value {
                #sdk::schema::input_of::<#document>()
            }

            fn output_schema() -> #sdk::serde_json::Value {
                #sdk::schema::output_of::<#output>()
            }

            #[allow(unused_variables, reason = "a kind may read no input")]
            fn start(ctx: &#sdk::Ctx, input: Self::Input) -> #step {
                <#own>::start(ctx #given)
            }

            fn resume(ctx: &#sdk::Ctx, state: Self::State, events: ::std::vec::Vec<#sdk::Event>) -> #step {
                <#own>::resume(ctx, state, events)
            }

            #stop
            #migrate
        }
    })
}

/// `U` and `State` of `Result<Step<U, State>, …>`.
fn answer(start: &ImplItemFn) -> Result<(Type, Type)> {
    let step = signature::answer(&start.sig, WANTED_START)?;
    match signature::arguments_of(&step, "Step").as_slice() {
        [output, state] => Ok((output.clone(), state.clone())),
        _ => Err(Error::new_spanned(&start.sig.output, format!("write {WANTED_START}"))),
    }
}

fn forward_stop() -> TokenStream {
    let sdk = quote!(::grepx_plugin_sdk);
    quote! {
        fn stop(ctx: &#sdk::Ctx, state: Self::State, reason: #sdk::StopReason) -> ::std::vec::Vec<#sdk::Command> {
            Self::stop(ctx, state, reason)
        }
    }
}

fn forward_migrate() -> TokenStream {
    let sdk = quote!(::grepx_plugin_sdk);
    quote! {
        fn migrate(
            version: u32,
            state: #sdk::serde_json::Value,
        ) -> ::std::result::Result<Self::State, #sdk::Error> {
            Self::migrate(version, state)
        }
    }
}
