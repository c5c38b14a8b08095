//! Names of Redis lists: kombu spreads a queue over one list per priority step.
//!
//! On Redis the LOWER number runs first. The separator, the steps and the prefix are transport
//! options of the workers and must be mirrored here: with others, messages sit in a list that
//! nobody reads.

#[cfg(test)]
mod tests;

/// The highest priority number, that is the one that runs last.
pub const MAX_PRIORITY: u8 = 9;

/// `broker_transport_options` of the workers, as far as they change names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueLayout {
    /// `sep`.
    pub separator: String,
    /// `priority_steps`, ascending; usually from 0.
    pub priority_steps: Vec<u8>,
    /// `global_keyprefix`, put in front of every key and channel as it is.
    pub key_prefix: String,
}

impl Default for QueueLayout {
    fn default() -> Self {
        Self {
            separator: "\u{6}\u{16}".into(),
            priority_steps: vec![0, 3, 6, 9],
            key_prefix: String::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    #[error("`sep` is empty: a queue and its priority lists would have one name; remove it or copy the workers' value")]
    NoSeparator,
    #[error(
        "`priority_steps` {steps:?} must hold one or more different numbers of 0 to 9 in ascending order, as in the workers' broker_transport_options"
    )]
    Steps { steps: Vec<u8> },
}

impl QueueLayout {
    /// To be called where the layout comes from a person's configuration.
    pub fn check(&self) -> Result<(), LayoutError> {
        if self.separator.is_empty() {
            return Err(LayoutError::NoSeparator);
        }
        let steps = &self.priority_steps;
        let ascending = steps.windows(2).all(|pair| pair[0] < pair[1]);
        if steps.is_empty() || !ascending || steps.iter().any(|step| *step > MAX_PRIORITY) {
            return Err(LayoutError::Steps { steps: steps.clone() });
        }
        Ok(())
    }

    /// The list that a message of this priority is pushed to (0 without one).
    pub fn list(&self, queue: &str, priority: Option<u8>) -> String {
        let priority = priority.unwrap_or(0).min(MAX_PRIORITY);
        let steps = &self.priority_steps;
        // kombu: a priority below the first step counts as the last one.
        let step = steps.iter().rev().find(|step| **step <= priority).or(steps.last());
        self.bucket(queue, step.copied().unwrap_or(0))
    }

    /// All lists of a queue in the order in which a worker pops them.
    pub fn lists(&self, queue: &str) -> Vec<String> {
        self.priority_steps
            .iter()
            .map(|step| self.bucket(queue, *step))
            .collect()
    }

    fn bucket(&self, queue: &str, step: u8) -> String {
        match step {
            0 => format!("{}{queue}", self.key_prefix),
            _ => format!("{}{queue}{}{step}", self.key_prefix, self.separator),
        }
    }
}

/// [`QueueLayout::list`] with the stock layout.
pub fn priority_list(queue: &str, priority: Option<u8>) -> String {
    QueueLayout::default().list(queue, priority)
}
