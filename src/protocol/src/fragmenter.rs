//! Message to frames.
use crate::frame::{CHECK_LENGTH, Frame, MESSAGE_LIMIT, Mtu, check_of};

/// Holds one outgoing message and cuts frames from it, one at a time.
///
/// The message stays after its last frame, so that it can be sent again from the start.
#[derive(Clone, Debug)]
pub struct Fragmenter {
    buffer: [u8; MESSAGE_LIMIT],
    /// Length of the message in `buffer`, 0 when there is none.
    length: usize,
    /// Bytes already cut off.
    cut: usize,
    /// Number of the next frame.
    sequence: u8,
}

impl Fragmenter {
    /// One without a message; its first frame will bear number 0.
    pub const fn new() -> Fragmenter {
        Fragmenter {
            buffer: [0; MESSAGE_LIMIT],
            length: 0,
            cut: 0,
            sequence: 0,
        }
    }

    /// Forgets the message and starts the numbering anew: a new connection.
    pub fn reset(&mut self) {
        self.forget();
        self.sequence = 0;
    }

    /// Forgets the message but not the numbering.
    pub fn forget(&mut self) {
        self.length = 0;
        self.cut = 0;
    }

    /// The number the next frame will bear.
    pub fn next_sequence(&self) -> u8 {
        self.sequence
    }

    /// Takes the next number, for a frame that is not cut from a message (abort).
    pub fn take_sequence(&mut self) -> u8 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }

    /// Puts a new message in: `fill` writes it to the buffer it is given and returns its length; the CRC is added here.
    /// `false`, and no message, when it does not fit.
    pub fn load(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> bool {
        self.forget();
        let loaded = self.try_load(fill).is_some();
        if !loaded {
            self.forget();
        }
        loaded
    }

    fn try_load(&mut self, fill: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<()> {
        let room = MESSAGE_LIMIT.checked_sub(CHECK_LENGTH)?;
        let length = fill(self.buffer.get_mut(..room)?)?;
        let (message, rest) = self.buffer.split_at_mut_checked(length)?;
        *rest.first_chunk_mut()? = check_of(message);
        self.length = length.checked_add(CHECK_LENGTH)?;
        Some(())
    }

    /// Starts the message again from its first frame; the frames get new numbers.
    pub fn rewind(&mut self) {
        self.cut = 0;
    }

    /// There is a message, whether or not it has been cut to its end.
    pub fn is_loaded(&self) -> bool {
        self.length != 0
    }

    /// All frames of the message have been cut.
    pub fn is_finished(&self) -> bool {
        self.cut >= self.length
    }

    /// Cuts the next frame for `mtu`; `None` at the end of the message. The MTU may change between two frames.
    pub fn next_frame(&mut self, mtu: Mtu) -> Option<Frame> {
        let mut frame = Frame::EMPTY;
        self.cut(mtu, &mut frame)?;
        Some(frame)
    }

    /// As [`Fragmenter::next_frame`], put where it is to lie; at the end of the message that is left as it was.
    pub(crate) fn cut(&mut self, mtu: Mtu, frame: &mut Frame) -> Option<()> {
        let left = self
            .buffer
            .get(self.cut..self.length)
            .filter(|left| !left.is_empty())?;
        let header = if self.cut == 0 {
            FIRST_HEADER
        } else {
            NEXT_HEADER
        };
        let length = mtu.frame_length().saturating_sub(header).min(left.len());
        let (payload, rest) = left.split_at_checked(length)?;
        let last = rest.is_empty();
        if self.cut == 0 {
            let total = u16::try_from(self.length).ok()?;
            frame.set_first(self.sequence, total, last, payload);
        } else {
            frame.set_next(self.sequence, last, payload);
        }
        self.cut = self.cut.saturating_add(length);
        self.sequence = self.sequence.wrapping_add(1);
        Some(())
    }
}

impl Default for Fragmenter {
    fn default() -> Fragmenter {
        Fragmenter::new()
    }
}

const FIRST_HEADER: usize = 4;
const NEXT_HEADER: usize = 2;

#[cfg(test)]
mod tests {
    use std::vec::Vec as List;

    use super::*;
    use crate::frame::{Parsed, Part};

    fn loaded(length: usize) -> Fragmenter {
        let mut fragmenter = Fragmenter::new();
        assert!(fragmenter.load(|buffer| {
            buffer.fill(0xaa);
            Some(length)
        }));
        fragmenter
    }

    fn parts(fragmenter: &mut Fragmenter, mtu: Mtu) -> List<(u8, Option<u16>, bool, usize)> {
        core::iter::from_fn(|| fragmenter.next_frame(mtu))
            .map(|frame| match Parsed::from_bytes(&frame) {
                Ok(Parsed::Data(Part {
                    sequence,
                    total,
                    last,
                    payload,
                })) => (sequence, total, last, payload.len()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn no_frame_is_longer_than_the_mtu_allows_and_all_but_the_last_are_full() {
        for mtu in 23..=247 {
            let mtu = Mtu::new(mtu).unwrap();
            for length in [2, 11, 12, 13, 100, 500, MESSAGE_LIMIT - CHECK_LENGTH] {
                let mut fragmenter = loaded(length);
                let mut sum = 0;
                let mut lasts = List::new();
                while let Some(frame) = fragmenter.next_frame(mtu) {
                    assert!(
                        frame.len() <= usize::from(mtu.bytes()) - 3,
                        "{mtu:?}, {length}"
                    );
                    let Ok(Parsed::Data(part)) = Parsed::from_bytes(&frame) else {
                        panic!()
                    };
                    assert!(part.last || frame.len() == mtu.frame_length());
                    sum += part.payload.len();
                    lasts.push(part.last);
                }
                assert_eq!(sum, length + CHECK_LENGTH);
                assert_eq!(lasts.iter().position(|last| *last), Some(lasts.len() - 1));
            }
        }
    }

    #[test]
    fn numbers_go_on_across_messages_and_repetitions() {
        let mut fragmenter = loaded(20);
        assert_eq!(
            parts(&mut fragmenter, Mtu::LOWEST),
            [(0, Some(24), false, 16), (1, None, true, 8)]
        );
        assert!(fragmenter.is_finished());
        fragmenter.rewind();
        assert!(!fragmenter.is_finished());
        assert_eq!(
            parts(&mut fragmenter, Mtu::LOWEST),
            [(2, Some(24), false, 16), (3, None, true, 8)]
        );
        assert!(fragmenter.load(|_| Some(2)));
        assert_eq!(parts(&mut fragmenter, Mtu::LOWEST), [(4, Some(6), true, 6)]);
        assert_eq!(fragmenter.take_sequence(), 5);
        fragmenter.forget();
        assert_eq!(fragmenter.next_sequence(), 6);
        fragmenter.reset();
        assert_eq!(fragmenter.next_sequence(), 0);
    }

    #[test]
    fn the_mtu_may_change_between_frames() {
        let mut fragmenter = loaded(300);
        assert_eq!(
            fragmenter.next_frame(Mtu::LOWEST).map(|frame| frame.len()),
            Some(20)
        );
        assert_eq!(
            fragmenter.next_frame(Mtu::HIGHEST).map(|frame| frame.len()),
            Some(244)
        );
        assert_eq!(
            parts(&mut fragmenter, Mtu::LOWEST),
            [
                (2, None, false, 18),
                (3, None, false, 18),
                (4, None, true, 10)
            ]
        );
    }

    #[test]
    fn what_does_not_fit_is_not_loaded() {
        let mut fragmenter = loaded(20);
        assert!(!fragmenter.load(|_| None));
        assert!(!fragmenter.is_loaded());
        assert_eq!(fragmenter.next_frame(Mtu::LOWEST), None);
        assert!(!fragmenter.load(|buffer| Some(buffer.len() + 1)));
        assert!(fragmenter.load(|buffer| Some(buffer.len())));
    }
}
