//! What stands in the brackets of an attribute, read by name; what nobody reads is an error.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, LitStr, Meta, Path, Result, Token};

/// Of one attribute.
pub(crate) struct Arguments {
    left: Vec<Meta>,
}

impl Parse for Arguments {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let listed = Punctuated::<Meta, Token![,]>::parse_terminated(input)?;
        Ok(Self {
            left: listed.into_iter().collect(),
        })
    }
}

impl Arguments {
    fn take(&mut self, name: &str) -> Option<Meta> {
        let at = self.left.iter().position(|meta| meta.path().is_ident(name))?;
        Some(self.left.remove(at))
    }

    /// `name`, alone.
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        self.take(name).is_some()
    }

    fn value(&mut self, name: &str) -> Result<Option<Expr>> {
        match self.take(name) {
            None => Ok(None),
            Some(Meta::NameValue(pair)) => Ok(Some(pair.value)),
            Some(other) => Err(Error::new_spanned(other, format!("write {name} = …"))),
        }
    }

    /// `name = "text"`.
    pub(crate) fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Expr::Lit(ExprLit {
                lit: Lit::Str(text), ..
            })) => Ok(Some(text.value())),
            Some(other) => Err(Error::new_spanned(other, format!("write {name} = \"…\""))),
        }
    }

    /// `name = 1`.
    pub(crate) fn number(&mut self, name: &str) -> Result<Option<u32>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Expr::Lit(ExprLit {
                lit: Lit::Int(number), ..
            })) => number.base10_parse().map(Some),
            Some(other) => Err(Error::new_spanned(other, format!("write {name} = 1 or another number"))),
        }
    }

    /// `name = a::function`.
    pub(crate) fn path(&mut self, name: &str) -> Result<Option<Path>> {
        match self.value(name)? {
            None => Ok(None),
            Some(Expr::Path(path)) => Ok(Some(path.path)),
            Some(other) => Err(Error::new_spanned(other, format!("write {name} = a_function"))),
        }
    }

    /// `name("one", "two")`.
    pub(crate) fn list(&mut self, name: &str) -> Result<Vec<String>> {
        match self.take(name) {
            None => Ok(Vec::new()),
            Some(Meta::List(list)) => {
                let texts = list.parse_args_with(Punctuated::<LitStr, Token![,]>::parse_terminated)?;
                Ok(texts.iter().map(LitStr::value).collect())
            }
            Some(other) => Err(Error::new_spanned(other, format!("write {name}(\"…\", …)"))),
        }
    }

    /// Fails on what nobody has read.
    pub(crate) fn nothing_left(&self, known: &[&str]) -> Result<()> {
        match self.left.first() {
            None => Ok(()),
            Some(meta) => Err(Error::new_spanned(
                meta.path(),
                format!("unknown argument; known are {}", known.join(", ")),
            )),
        }
    }
}

/// What every sort of kind says of itself.
pub(crate) struct Described {
    pub(crate) kind: String,
    pub(crate) summary: String,
    pub(crate) version: Option<String>,
}

impl Described {
    /// `name` and `docs` are the item's own.
    pub(crate) fn read(arguments: &mut Arguments, name: &syn::Ident, docs: Option<String>) -> Result<Self> {
        let kind = arguments
            .text("kind")?
            .unwrap_or_else(|| name.to_string().replace('_', "-"));
        if !is_kind(&kind) {
            let problem = format!("{kind:?} is no kind: a letter or digit, then letters, digits and _-.:, up to 200");
            return Err(Error::new(Span::call_site(), problem));
        }
        let summary = arguments.text("summary")?.or(docs).unwrap_or_default();
        if summary.is_empty() {
            let problem = "one line for people is missing: write summary = \"…\" or document the item with ///";
            return Err(Error::new(name.span(), problem));
        }
        Ok(Self {
            kind,
            summary,
            version: arguments.text("version")?,
        })
    }
}

/// The rule of the host, told while compiling instead of when the component loads.
fn is_kind(text: &str) -> bool {
    text.len() <= 200
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.:".contains(c))
}
