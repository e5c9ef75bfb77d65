//! What a phone may read before it says anything.
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Malformed};
use crate::{SCHEMA_HASH, VERSION};

/// The content of the Info characteristic. No serial number, nothing that tells one patient from another.
///
/// Its first byte is the version in every version there will ever be; the rest is fixed by the version.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub struct Info {
    /// The protocol version the pump speaks, [`VERSION`].
    pub version: u8,
    /// The shape of its messages, [`SCHEMA_HASH`].
    pub schema_hash: u64,
    /// What it can do, see [`capability`].
    pub capabilities: u32,
    /// Random bytes, fresh for every connection.
    pub nonce: [u8; 8],
    /// Where in its life the pump is.
    pub lifecycle: Lifecycle,
    /// The presence window is open (a magnet was held over the pump within the last five minutes).
    pub armed: bool,
}

/// Where in its life a pump is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
#[cfg_attr(any(test, feature = "schema"), derive(postcard_schema::Schema))]
pub enum Lifecycle {
    /// Never programmed; made one of a kind already, or not yet ([`crate::Command::Commission`]).
    Factory,
    /// In use, from the first program on.
    InService,
    /// At the end of its service life: it delivers nothing and takes no program.
    EndOfService,
}

impl Lifecycle {
    /// Every lifecycle, in wire order.
    pub const ALL: [Lifecycle; 3] = [
        Lifecycle::Factory,
        Lifecycle::InService,
        Lifecycle::EndOfService,
    ];

    /// The name used in texts and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Lifecycle::Factory => "factory",
            Lifecycle::InService => "in service",
            Lifecycle::EndOfService => "end of service",
        }
    }
}

impl fmt::Display for Lifecycle {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// Capability bits of [`Info::capabilities`].
pub mod capability {
    /// Motor and flash are emulated.
    pub const VIRTUAL: u32 = 1 << 0;

    /// Every capability with its text.
    pub const ALL: [(u32, &str); 1] = [(VIRTUAL, "virtual pump")];
}

/// Why an Info cannot be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InfoError {
    /// The pump speaks another version.
    UnknownVersion {
        /// The version it speaks.
        version: u8,
    },
    /// Same version, other messages: a development build of another day.
    OtherSchema {
        /// The pump's schema hash.
        schema_hash: u64,
    },
    /// The bytes are no Info.
    Malformed(Malformed),
}

impl fmt::Display for InfoError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InfoError::UnknownVersion { version } => {
                write!(
                    out,
                    "the pump speaks protocol version {version}; this programmer knows version {VERSION} only"
                )
            }
            InfoError::OtherSchema { schema_hash } => write!(
                out,
                "the pump's messages differ from this programmer's (schema {schema_hash:016x}, expected {SCHEMA_HASH:016x}); use matching versions"
            ),
            InfoError::Malformed(reason) => write!(out, "the pump's Info cannot be read: {reason}"),
        }
    }
}

impl core::error::Error for InfoError {}

impl Info {
    /// An upper bound of its encoded size, in bytes.
    pub const LIMIT: usize = 32;

    /// An Info of this build: version and schema hash are filled in.
    pub const fn new(capabilities: u32, nonce: [u8; 8], lifecycle: Lifecycle, armed: bool) -> Info {
        Info {
            version: VERSION,
            schema_hash: SCHEMA_HASH,
            capabilities,
            nonce,
            lifecycle,
            armed,
        }
    }

    /// Writes the Info to the front of `buffer`; `None` when it does not fit ([`Info::LIMIT`] bytes always do).
    pub fn encode<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        codec::encode(self, buffer)
    }

    /// Reads an Info and refuses one of another version or with other messages, so that the Info returned is one that can be worked with.
    pub fn decode(bytes: &[u8]) -> Result<Info, InfoError> {
        match bytes.first() {
            None => return Err(InfoError::Malformed(Malformed::Undecodable)),
            Some(&VERSION) => {}
            Some(&version) => return Err(InfoError::UnknownVersion { version }),
        }
        let info: Info = codec::decode(bytes).map_err(InfoError::Malformed)?;
        if info.schema_hash == SCHEMA_HASH {
            Ok(info)
        } else {
            Err(InfoError::OtherSchema {
                schema_hash: info.schema_hash,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_comes_back_as_it_went() {
        let info = Info::new(
            capability::VIRTUAL,
            [1, 2, 3, 4, 5, 6, 7, 8],
            Lifecycle::InService,
            true,
        );
        let mut buffer = [0; Info::LIMIT];
        let bytes = info.encode(&mut buffer).unwrap();
        assert_eq!(
            bytes[0], VERSION,
            "the version is the first byte in every version"
        );
        assert_eq!(Info::decode(bytes), Ok(info));
    }

    #[test]
    fn another_version_is_refused_whatever_follows() {
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            assert_eq!(
                Info::decode(&[version]),
                Err(InfoError::UnknownVersion { version })
            );
            assert_eq!(
                Info::decode(&[version, 0xff, 0xff]),
                Err(InfoError::UnknownVersion { version })
            );
        }
    }

    #[test]
    fn another_schema_is_refused() {
        let info = Info {
            schema_hash: SCHEMA_HASH ^ 1,
            ..Info::new(0, [0; 8], Lifecycle::Factory, false)
        };
        let mut buffer = [0; Info::LIMIT];
        let bytes = info.encode(&mut buffer).unwrap();
        assert_eq!(
            Info::decode(bytes),
            Err(InfoError::OtherSchema {
                schema_hash: SCHEMA_HASH ^ 1
            })
        );
    }

    #[test]
    fn what_is_no_info_is_refused() {
        assert_eq!(
            Info::decode(&[]),
            Err(InfoError::Malformed(Malformed::Undecodable))
        );
        let info = Info::new(0, [0; 8], Lifecycle::Factory, false);
        let mut buffer = [0; Info::LIMIT];
        let length = info.encode(&mut buffer).unwrap().len();
        assert_eq!(
            Info::decode(&buffer[..length - 1]),
            Err(InfoError::Malformed(Malformed::Undecodable))
        );
        assert_eq!(
            Info::decode(&buffer[..length + 1]),
            Err(InfoError::Malformed(Malformed::TrailingBytes))
        );
        assert_eq!(info.encode(&mut [0; 3]), None);
    }
}
