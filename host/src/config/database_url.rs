//! SQLAlchemy URLs, as far as this host reads what they name.

use std::path::PathBuf;

use super::mask_url;

/// Why a `database.db_url` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatabaseUrlError {
    #[error(
        "database.db_url {url:?} is no SQLAlchemy URL of SQLite; write sqlite:///relative/path.db or sqlite:////absolute/path.db"
    )]
    Other { url: String },
    #[error("database.db_url names PostgreSQL, which is not supported yet; use sqlite:///path.db")]
    Postgres,
}

/// The file that a SQLAlchemy URL names; a relative one is relative to the working directory.
///
/// # Errors
/// When it names no file, or another database.
pub fn sqlite_path(url: &str) -> Result<PathBuf, DatabaseUrlError> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let dialect = scheme.split('+').next().unwrap_or_default();
    match dialect {
        "postgresql" | "postgres" => Err(DatabaseUrlError::Postgres),
        "sqlite" => {
            let path = rest.split('?').next().unwrap_or_default();
            match path.strip_prefix('/') {
                Some(path) if !path.is_empty() && path != ":memory:" => Ok(PathBuf::from(path)),
                _ => Err(DatabaseUrlError::Other { url: mask_url(url) }),
            }
        }
        _ => Err(DatabaseUrlError::Other { url: mask_url(url) }),
    }
}
