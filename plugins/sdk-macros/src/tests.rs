use proc_macro2::TokenStream;
use quote::quote;

use crate::{activity, data, durable, policy};

fn problem(expanded: syn::Result<TokenStream>) -> String {
    expanded.expect_err("it is refused").to_string()
}

#[test]
fn a_function_of_another_shape_is_told_what_to_write() {
    let good = quote!(summary = "s");
    for (item, told) in [
        (
            quote!(
                fn a() -> Result<u8, Error> {}
            ),
            "fn name(ctx: &Ctx, input: T)",
        ),
        (
            quote!(
                fn a(ctx: &Ctx) {}
            ),
            "-> Result<U, Error>",
        ),
        (
            quote!(
                fn a(ctx: &Ctx, a: A, b: B, c: C) -> Result<u8, Error> {}
            ),
            "too many parameters",
        ),
        (
            quote!(
                async fn a(ctx: &Ctx) -> Result<u8, Error> {}
            ),
            "make it #[durable]",
        ),
        (
            quote!(
                fn a(&self, input: T) -> Result<u8, Error> {}
            ),
            "no self",
        ),
        (
            quote!(
                struct A;
            ),
            "belongs on a function",
        ),
    ] {
        let told_instead = problem(activity::expand(good.clone(), item));
        assert!(told_instead.contains(told), "{told_instead}");
    }
    let told = problem(policy::expand(
        good.clone(),
        quote!(
            fn a(ctx: &Ctx) -> Verdict {}
        ),
    ));
    assert!(told.contains("failure: &Error, config: T"), "{told}");
    let told = problem(durable::expand(
        good.clone(),
        quote!(
            fn a(ctx: AsyncCtx) -> Result<u8, Error> {}
        ),
    ));
    assert!(told.contains("async fn name(ctx: AsyncCtx"), "{told}");
    let told = problem(durable::expand(good.clone(), quote!(impl A {})));
    assert!(told.contains("fn start(ctx: &Ctx, input: T)"), "{told}");
    let start = quote!(impl A { fn start(ctx: &Ctx, input: T) -> Result<u8, Error> {} fn resume() {} });
    let told = problem(durable::expand(good, start));
    assert!(told.contains("Result<Step<U, State>, Error>"), "{told}");
    let told = problem(data::expand(
        quote!(),
        quote!(
            fn a() {}
        ),
    ));
    assert!(told.contains("on a struct or an enum"), "{told}");
}

#[test]
fn arguments_are_checked_while_compiling() {
    let function = quote!(
        fn a_kind(ctx: &Ctx) -> Result<u8, Error> {}
    );
    for (arguments, told) in [
        (quote!(), "one line for people is missing"),
        (
            quote!(summary = "s", sumary = "t"),
            "unknown argument; known are kind, summary",
        ),
        (quote!(summary = 7), "write summary = \"…\""),
        (quote!(summary = "s", kind = "a b"), "is no kind"),
        (
            quote!(summary = "s", capabilities = "http"),
            "write capabilities(\"…\", …)",
        ),
    ] {
        let told_instead = problem(activity::expand(arguments, function.clone()));
        assert!(told_instead.contains(told), "{told_instead}");
    }
    let versions = quote!(summary = "s", state_version = 1, oldest_state = 2);
    let told = problem(durable::expand(
        versions,
        quote!(
            async fn a(ctx: AsyncCtx) -> Result<u8, Error> {}
        ),
    ));
    assert!(told.contains("oldest_state = 2 is newer"), "{told}");
}

#[test]
fn name_and_documentation_stand_in_for_arguments() {
    let function = quote! {
        /// Counts
        /// things.
        ///
        /// More.
        pub fn count_things(ctx: &Ctx, input: T) -> Result<u8, Error> {}
    };
    let expanded = activity::expand(quote!(), function).expect("expands").to_string();
    assert!(expanded.contains("\"count-things\""), "{expanded}");
    assert!(expanded.contains("\"Counts things\""), "{expanded}");
}
