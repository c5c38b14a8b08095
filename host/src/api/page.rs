//! `limit`, `offset` and `sort` of a filter body; `limit` and `page` of a paginate body.

use serde_json::{Value, json};

use super::body::Fields;
use super::error::Error;
use crate::store::Page;

/// Rows of an answer at most, and when nothing is said.
pub(crate) const LIMIT_MAX: u32 = 200;

/// What a body says of the page, judged only when the rest of it is in order.
#[derive(Debug, Default)]
pub(super) struct Asked {
    limit: Option<i64>,
    offset: Option<i64>,
}

impl Asked {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        Self {
            limit: fields.value("limit"),
            offset: fields.value("offset"),
        }
    }

    pub(super) fn page(&self) -> Result<Page, Error> {
        let limit = self.limit.unwrap_or(LIMIT_MAX.into());
        let offset = self.offset.unwrap_or(0);
        match (u32::try_from(limit), u64::try_from(offset)) {
            (Ok(limit), _) if limit > LIMIT_MAX => Err(Error::Invalid(format!(
                "Invalid limit: must be less than or equal to {LIMIT_MAX}."
            ))),
            (Err(_), _) if limit > 0 => Err(Error::Invalid(format!(
                "Invalid limit: must be less than or equal to {LIMIT_MAX}."
            ))),
            (Err(_), _) => Err(Error::Invalid(
                "Invalid limit: must be greater than or equal to 0.".into(),
            )),
            (_, Err(_)) => Err(Error::Invalid(
                "Invalid offset: must be greater than or equal to 0.".into(),
            )),
            (Ok(limit), Ok(offset)) => Ok(Page { limit, offset }),
        }
    }
}

/// What the body of a `paginate` says: pages count from 1.
#[derive(Debug, Default)]
pub(super) struct Numbered {
    limit: Option<i64>,
    page: Option<u32>,
}

impl Numbered {
    pub(super) fn read(fields: &mut Fields<'_>) -> Self {
        let page: Option<u32> = fields.value("page");
        if page == Some(0) {
            let message = "Input should be greater than or equal to 1";
            fields.fault(Some("page"), "greater_than_equal", message);
        }
        Self {
            limit: fields.value("limit"),
            page,
        }
    }

    pub(super) fn page(&self) -> Result<Page, Error> {
        let asked = Asked {
            limit: self.limit,
            offset: None,
        };
        let page = asked.page()?;
        let before = u64::from(self.number().saturating_sub(1));
        Ok(Page {
            offset: before * u64::from(page.limit),
            ..page
        })
    }

    /// The answer with this page of `count` rows.
    pub(super) fn answer(&self, page: Page, count: u64, results: Vec<Value>) -> Value {
        let pages = count.checked_div(page.limit.into()).unwrap_or(0);
        let rest = count.checked_rem(page.limit.into()).unwrap_or(0);
        json!({
            "results": results,
            "count": count,
            "limit": page.limit,
            "pages": pages + u64::from(rest > 0),
            "page": self.number(),
        })
    }

    fn number(&self) -> u32 {
        self.page.unwrap_or(1)
    }
}

/// The page of what is all in memory.
pub(super) fn cut<T>(rows: Vec<T>, page: Page) -> Vec<T> {
    let offset = usize::try_from(page.offset).unwrap_or(usize::MAX);
    rows.into_iter().skip(offset).take(page.limit as usize).collect()
}
