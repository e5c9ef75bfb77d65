//! Why there is no answer.

use std::fmt;

/// Why there is no answer. `Display` says what is wrong and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Each argument is one, and together they make no sense.
    Input(String),
    /// The pump's rules refuse it.
    Refused(String),
}

impl Error {
    /// A rule of the pump that refuses.
    pub(crate) fn refused(rule: impl fmt::Display) -> Self {
        Self::Refused(rule.to_string())
    }

    /// A number that no quantity holds. What passes the readers and the rules hardly ever gets there.
    pub(crate) fn too_large() -> Self {
        Self::Input("the numbers are too large or too far apart to be multiplied exactly".into())
    }

    /// The exit status of a program that ends with it: 2 for wrong arguments, as for those that cannot even be read, 1 for a refusal.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) => 2,
            Self::Refused(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(why) | Self::Refused(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}
