//! Which words have a colour. The word is always there too: nobody has to see colours.

/// What the 16 colours of any terminal have, so that its own theme decides how they look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Bold,
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
}

impl Colour {
    /// Parameter of SGR (ECMA-48).
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
            Self::Blue => 34,
        }
    }
}

/// Of a state type.
pub(super) fn of_state(state_type: &str) -> Option<Colour> {
    match state_type {
        "COMPLETED" => Some(Colour::Green),
        "FAILED" | "CRASHED" => Some(Colour::Red),
        "CANCELLED" | "CANCELLING" | "PAUSED" => Some(Colour::Yellow),
        "RUNNING" => Some(Colour::Blue),
        _ => None,
    }
}

/// Of a cell, by the column that it stands in.
pub(super) fn of_cell(header: &str, cell: &str) -> Option<Colour> {
    match header {
        "STATE" | "STATUS" | "LEVEL" | "OUTCOME" => {}
        "ID" => return Some(Colour::Dim),
        _ => return None,
    }
    match cell {
        "Completed" | "ready" | "serving" | "active" | "ok" => Some(Colour::Green),
        "Failed" | "TimedOut" | "Crashed" | "UpstreamFailed" | "refused" | "error" | "ERROR" | "CRITICAL" => {
            Some(Colour::Red)
        }
        "Cancelled" | "Cancelling" | "Paused" | "Late" | "paused" | "warning" | "WARNING" | "revoked" => {
            Some(Colour::Yellow)
        }
        "Running" | "Retrying" => Some(Colour::Blue),
        "Skipped" => Some(Colour::Dim),
        _ => None,
    }
}
