//! The drugs a pump may be told it holds.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// A drug for intrathecal infusion. The order is the order on the wire: grow at the end only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(postcard_schema::Schema))]
#[serde(rename_all = "lowercase")]
pub enum Drug {
    /// Morphine, an opioid.
    Morphine,
    /// Hydromorphone, an opioid.
    Hydromorphone,
    /// Fentanyl, an opioid.
    Fentanyl,
    /// Sufentanil, an opioid.
    Sufentanil,
    /// Bupivacaine, a local anaesthetic.
    Bupivacaine,
    /// Clonidine, an alpha-2 agonist; losing it suddenly is dangerous.
    Clonidine,
    /// Ziconotide, a calcium channel blocker.
    Ziconotide,
    /// Baclofen, a GABA-B agonist; losing it suddenly is dangerous.
    Baclofen,
}

impl Drug {
    /// Every drug, in wire order.
    pub const ALL: [Self; 8] = [
        Self::Morphine,
        Self::Hydromorphone,
        Self::Fentanyl,
        Self::Sufentanil,
        Self::Bupivacaine,
        Self::Clonidine,
        Self::Ziconotide,
        Self::Baclofen,
    ];

    /// Its generic name in small letters, as `Display` writes and `FromStr` reads it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Morphine => "morphine",
            Self::Hydromorphone => "hydromorphone",
            Self::Fentanyl => "fentanyl",
            Self::Sufentanil => "sufentanil",
            Self::Bupivacaine => "bupivacaine",
            Self::Clonidine => "clonidine",
            Self::Ziconotide => "ziconotide",
            Self::Baclofen => "baclofen",
        }
    }
}

impl fmt::Display for Drug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Drug {
    type Err = UnknownDrug;

    /// Reads the whole name; small and capital letters are the same. No abbreviations, no guesses: names that look alike kill.
    fn from_str(text: &str) -> Result<Self, UnknownDrug> {
        Self::ALL
            .into_iter()
            .find(|drug| drug.name().eq_ignore_ascii_case(text.trim()))
            .ok_or(UnknownDrug)
    }
}

/// A name that is none of [`Drug::ALL`]. `Display` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownDrug;

impl fmt::Display for UnknownDrug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the drug is unknown: write one of ")?;
        for (position, drug) in Drug::ALL.into_iter().enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{drug}")?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownDrug {}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn names_read_back() {
        for drug in Drug::ALL {
            assert_eq!(drug.name().parse(), Ok(drug));
            assert_eq!(drug.name().to_uppercase().parse(), Ok(drug));
            assert_eq!(
                serde_json::to_string(&drug).unwrap(),
                std::format!("\"{drug}\"")
            );
        }
        assert_eq!(" Baclofen ".parse(), Ok(Drug::Baclofen));
    }

    #[test]
    fn nothing_is_guessed() {
        for text in ["", "morph", "morphines", "saline", "fentanyl sufentanil"] {
            assert_eq!(text.parse::<Drug>(), Err(UnknownDrug), "{text}");
        }
        let text = UnknownDrug.to_string();
        for drug in Drug::ALL {
            assert!(text.contains(drug.name()), "{text}");
        }
    }

    #[test]
    fn the_wire_order_is_fixed() {
        for (number, drug) in (0_u8..).zip(Drug::ALL) {
            let mut buffer = [0; 4];
            assert_eq!(postcard::to_slice(&drug, &mut buffer).unwrap(), [number]);
            assert_eq!(postcard::from_bytes(&[number]), Ok(drug));
        }
        assert!(postcard::from_bytes::<Drug>(&[8]).is_err());
        assert_eq!(Drug::ALL.first(), Some(&Drug::Morphine));
        assert_eq!(Drug::ALL.last(), Some(&Drug::Baclofen));
    }
}
