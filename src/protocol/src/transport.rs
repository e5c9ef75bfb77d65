//! Who is speaking: the step between a whole message and its meaning.
//!
//! A message is a version byte and the transport's payload. In version 0 the payload is the bare postcard; with version 1 a
//! Noise session takes the place of [`Transport::Plain`], opening and sealing in the buffer it is given.
use crate::VERSION;

/// How payloads travel inside a message.
#[derive(Clone, Debug)]
pub enum Transport {
    /// As they are. Nobody is authenticated.
    Plain,
}

/// The message is of a version that this build does not speak.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnknownVersion {
    /// The version of the message.
    pub version: u8,
}

impl Transport {
    /// The payload of a received message.
    ///
    /// # Errors
    /// When the first byte is not [`VERSION`]. An empty message counts as version 255, which will never exist.
    pub fn open<'m>(&mut self, message: &'m [u8]) -> Result<&'m [u8], UnknownVersion> {
        match self {
            Transport::Plain => match message.split_first() {
                Some((&VERSION, payload)) => Ok(payload),
                Some((&version, _)) => Err(UnknownVersion { version }),
                None => Err(UnknownVersion { version: u8::MAX }),
            },
        }
    }

    /// Writes a message to the front of `buffer`: `write` puts the payload where it belongs and returns its length. The result is the
    /// length of the message, `None` when it does not fit.
    pub fn seal(
        &mut self,
        buffer: &mut [u8],
        write: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        match self {
            Transport::Plain => {
                let (first, rest) = buffer.split_first_mut()?;
                *first = VERSION;
                let room = rest.len();
                write(rest).filter(|length| *length <= room)?.checked_add(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_version_is_opened() {
        let mut transport = Transport::Plain;
        assert_eq!(transport.open(&[VERSION, 1, 2]), Ok(&[1, 2][..]));
        for version in (0..=u8::MAX).filter(|version| *version != VERSION) {
            assert_eq!(
                transport.open(&[version, 1, 2]),
                Err(UnknownVersion { version })
            );
        }
        assert!(transport.open(&[]).is_err());
    }

    #[test]
    fn sealing_never_claims_more_than_the_buffer() {
        let mut transport = Transport::Plain;
        let mut buffer = [9; 3];
        assert_eq!(transport.seal(&mut buffer, |_| Some(3)), None);
        assert_eq!(transport.seal(&mut buffer, |_| None), None);
        assert_eq!(
            transport.seal(&mut buffer, |payload| {
                payload.fill(7);
                Some(2)
            }),
            Some(3)
        );
        assert_eq!(buffer, [VERSION, 7, 7]);
        assert_eq!(transport.seal(&mut [], |_| Some(0)), None);
    }
}
