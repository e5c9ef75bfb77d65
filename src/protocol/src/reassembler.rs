//! Frames to message.
use units::{CarrierTime, Duration};
use zeroize::Zeroize;

use crate::buffer::Buffer;
use crate::frame::{CHECK_LENGTH, Dropped, MESSAGE_LIMIT, MESSAGE_MINIMUM, Part, check_of};

/// How long a message may stand still between two frames before it is dropped: 2 s of carrier time \[P\].
pub const SILENCE: Duration = Duration::from_seconds(2);

/// Collects the frames of one message at a time.
///
/// It delivers a message only when every frame came in order, the length is the announced one and the CRC-32 is right.
/// Everything else drops the message with a reason; the next first frame starts anew.
#[derive(Clone, Debug)]
pub struct Reassembler {
    message: Buffer<MESSAGE_LIMIT>,
    state: State,
    /// Number of the last data frame seen, whether it was of use or not.
    seen: Option<u8>,
    silence: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Collecting { total: usize, last_at: CarrierTime },
    Complete,
}

/// What a data frame did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// It was taken; more are to come.
    Partial,
    /// It had been seen before: ignored.
    Repeated,
    /// It was the last: [`Reassembler::message`] is whole.
    Complete,
}

impl Reassembler {
    /// One that drops a message after `silence` between two frames; `None` when the sender waits for the reader anyway.
    pub const fn new(silence: Option<Duration>) -> Reassembler {
        Reassembler {
            message: Buffer::EMPTY,
            state: State::Idle,
            seen: None,
            silence,
        }
    }

    /// Forgets everything, the frame number too: a new connection.
    pub fn reset(&mut self) {
        self.forget();
        self.seen = None;
    }

    /// Forgets the message but not the frame number. What was opened in place is wiped.
    pub fn forget(&mut self) {
        self.message.zeroize();
        self.message.clear();
        self.state = State::Idle;
    }

    /// A message has begun and not ended.
    pub fn is_collecting(&self) -> bool {
        match self.state {
            State::Collecting { .. } => true,
            State::Idle | State::Complete => false,
        }
    }

    /// The number of the last data frame seen.
    pub fn seen(&self) -> Option<u8> {
        self.seen
    }

    /// The message without its CRC, once complete and until the next frame is taken; empty otherwise.
    pub fn message(&self) -> &[u8] {
        match self.state {
            State::Complete => self
                .message
                .split_last_chunk::<CHECK_LENGTH>()
                .map_or(&[], |(message, _)| message),
            State::Idle | State::Collecting { .. } => &[],
        }
    }

    /// As [`Reassembler::message`], to be opened where it lies. Its CRC is not looked at again.
    pub fn message_mut(&mut self) -> &mut [u8] {
        match self.state {
            State::Complete => self
                .message
                .split_last_chunk_mut::<CHECK_LENGTH>()
                .map_or(&mut [], |(message, _)| message),
            State::Idle | State::Collecting { .. } => &mut [],
        }
    }

    /// The CRC-32 that the complete message came with, which is right.
    pub fn check(&self) -> [u8; CHECK_LENGTH] {
        self.message
            .last_chunk()
            .filter(|_| self.state == State::Complete)
            .copied()
            .unwrap_or_default()
    }

    /// Drops the message when it has stood still for too long; to be called before each frame and whenever time has passed.
    pub fn expire(&mut self, now: CarrierTime) -> Option<Dropped> {
        match (self.state, self.silence) {
            (State::Collecting { last_at, .. }, Some(silence))
                if now.saturating_since(last_at) >= silence =>
            {
                self.forget();
                Some(Dropped::Silence)
            }
            (State::Idle | State::Collecting { .. } | State::Complete, _) => None,
        }
    }

    /// The frame numbered `sequence` is new, not a repetition of one already seen.
    pub fn is_new(&self, sequence: u8) -> bool {
        match self.seen {
            None => true,
            Some(seen) => (1..=HALF).contains(&sequence.wrapping_sub(seen)),
        }
    }

    /// Notes a frame number without taking a frame (abort frames share the numbering).
    pub fn note(&mut self, sequence: u8) {
        self.seen = Some(sequence);
    }

    /// Takes a frame that [`Reassembler::is_new`], at the time `now`.
    ///
    /// # Errors
    /// The reason when the frame or the message it belongs to is dropped. A first frame that interrupts an unfinished
    /// message is not an error; see [`Reassembler::is_collecting`].
    pub fn receive(&mut self, now: CarrierTime, part: &Part<'_>) -> Result<Progress, Dropped> {
        if !self.is_new(part.sequence) {
            return Ok(Progress::Repeated);
        }
        let before = self.seen.replace(part.sequence);
        let taken = self.take(now, part, before);
        if taken.is_err() {
            self.forget();
        }
        taken
    }

    fn take(
        &mut self,
        now: CarrierTime,
        part: &Part<'_>,
        before: Option<u8>,
    ) -> Result<Progress, Dropped> {
        let total = match (part.total, self.state) {
            (Some(total), State::Idle | State::Collecting { .. } | State::Complete) => {
                self.forget();
                let total = usize::from(total);
                if !(MESSAGE_MINIMUM..=MESSAGE_LIMIT).contains(&total) {
                    return Err(Dropped::Length);
                }
                total
            }
            (None, State::Collecting { total, .. }) => {
                if before.map(|before| before.wrapping_add(1)) != Some(part.sequence) {
                    return Err(Dropped::Gap);
                }
                total
            }
            (None, State::Idle | State::Complete) => return Err(Dropped::NotStarted),
        };
        self.message.extend(part.payload).ok_or(Dropped::Overrun)?;
        let complete = self.message.len() >= total;
        if self.message.len() > total || (complete && !part.last) {
            return Err(Dropped::Overrun);
        }
        if !complete {
            if part.last {
                return Err(Dropped::Short);
            }
            self.state = State::Collecting {
                total,
                last_at: now,
            };
            return Ok(Progress::Partial);
        }
        match self.message.split_last_chunk::<CHECK_LENGTH>() {
            Some((message, check)) if *check == check_of(message) => {
                self.state = State::Complete;
                Ok(Progress::Complete)
            }
            Some(_) | None => Err(Dropped::Checksum),
        }
    }
}

/// The furthest a frame number may be ahead, of 256, to count as new.
const HALF: u8 = 127;

#[cfg(test)]
mod tests {
    use std::vec::Vec as List;

    use super::*;
    use crate::fragmenter::Fragmenter;
    use crate::frame::{Frame, Mtu, Parsed};

    const START: CarrierTime = CarrierTime::from_micros(1_000_000);

    fn after(micros: u64) -> CarrierTime {
        START.saturating_add(Duration::from_micros(micros))
    }

    fn part(frame: &Frame) -> Part<'_> {
        match Parsed::from_bytes(frame) {
            Ok(Parsed::Data(part)) => part,
            other => panic!("{other:?}"),
        }
    }

    fn frames_of(length: usize, fragmenter: &mut Fragmenter) -> List<Frame> {
        assert!(fragmenter.load(|buffer| {
            buffer
                .iter_mut()
                .zip((0..=u8::MAX).cycle())
                .for_each(|(byte, value)| *byte = value);
            Some(length)
        }));
        std::iter::from_fn(|| fragmenter.next_frame(Mtu::LOWEST)).collect()
    }

    fn expected(length: usize) -> List<u8> {
        (0..=u8::MAX).cycle().take(length).collect()
    }

    fn take(reassembler: &mut Reassembler, frame: &Frame) -> Result<Progress, Dropped> {
        reassembler.receive(START, &part(frame))
    }

    fn fresh() -> Reassembler {
        Reassembler::new(Some(SILENCE))
    }

    #[test]
    fn frames_in_order_make_the_message() {
        let mut reassembler = fresh();
        let mut fragmenter = Fragmenter::new();
        for length in [2, 12, 13, 30, 31, 300, 1020] {
            let frames = frames_of(length, &mut fragmenter);
            let (last, before) = frames.split_last().unwrap();
            for frame in before {
                assert_eq!(take(&mut reassembler, frame), Ok(Progress::Partial));
                assert_eq!(reassembler.message(), [0_u8; 0]);
            }
            assert_eq!(take(&mut reassembler, last), Ok(Progress::Complete));
            assert_eq!(reassembler.message(), expected(length));
        }
    }

    #[test]
    fn a_missing_frame_drops_the_message_wherever_it_is() {
        let frames = frames_of(100, &mut Fragmenter::new());
        for missing in 0..frames.len() {
            let mut reassembler = fresh();
            let mut results = List::new();
            for (position, frame) in frames.iter().enumerate() {
                if position != missing {
                    results.push(take(&mut reassembler, frame));
                }
            }
            assert!(
                !results.contains(&Ok(Progress::Complete)),
                "missing {missing}"
            );
            let reason = if missing == 0 {
                Dropped::NotStarted
            } else {
                Dropped::Gap
            };
            let last = frames.len() - 1;
            assert_eq!(
                results.contains(&Err(reason)),
                missing != last,
                "missing {missing}"
            );
            assert_eq!(reassembler.is_collecting(), missing == last);
        }
    }

    #[test]
    fn repeated_frames_change_nothing() {
        let mut fragmenter = Fragmenter::new();
        let first = frames_of(40, &mut fragmenter);
        let second = frames_of(40, &mut fragmenter);
        let mut reassembler = fresh();
        let mut complete = 0;
        for frame in first.iter().chain(&second) {
            complete += u32::from(take(&mut reassembler, frame) == Ok(Progress::Complete));
            assert_eq!(take(&mut reassembler, frame), Ok(Progress::Repeated));
            for old in &first {
                if part(old).sequence != part(frame).sequence
                    && part(old).sequence < part(frame).sequence
                {
                    assert_eq!(take(&mut reassembler, old), Ok(Progress::Repeated));
                }
            }
        }
        assert_eq!(complete, 2);
    }

    #[test]
    fn a_dropped_message_cannot_be_completed_by_its_own_frames() {
        let frames = frames_of(40, &mut Fragmenter::new());
        let mut reassembler = fresh();
        assert_eq!(take(&mut reassembler, &frames[0]), Ok(Progress::Partial));
        assert_eq!(take(&mut reassembler, &frames[2]), Err(Dropped::Gap));
        for frame in &frames {
            assert_eq!(take(&mut reassembler, frame), Ok(Progress::Repeated));
        }
    }

    #[test]
    fn numbers_wrap() {
        let mut fragmenter = Fragmenter::new();
        let mut reassembler = fresh();
        for _ in 0..300 {
            let frames = frames_of(25, &mut fragmenter);
            let done: List<_> = frames
                .iter()
                .map(|frame| take(&mut reassembler, frame))
                .collect();
            assert_eq!(done, [Ok(Progress::Partial), Ok(Progress::Complete)]);
        }
    }

    #[test]
    fn a_number_is_new_when_ahead_by_1_to_127() {
        let mut reassembler = fresh();
        assert!(
            (0..=u8::MAX).all(|sequence| reassembler.is_new(sequence)),
            "all are before the first"
        );
        reassembler.note(200);
        for ahead in 0..=u8::MAX {
            assert_eq!(
                reassembler.is_new(200_u8.wrapping_add(ahead)),
                (1..=127).contains(&ahead),
                "{ahead}"
            );
        }
    }

    #[test]
    fn two_seconds_of_silence_drop_the_message() {
        let frames = frames_of(25, &mut Fragmenter::new());
        let mut reassembler = fresh();
        assert_eq!(
            reassembler.expire(after(u64::MAX)),
            None,
            "nothing to expire"
        );
        assert_eq!(take(&mut reassembler, &frames[0]), Ok(Progress::Partial));
        assert_eq!(reassembler.expire(after(1_999_999)), None);
        assert_eq!(
            reassembler.expire(CarrierTime::from_micros(0)),
            None,
            "a clock that went back"
        );
        assert_eq!(reassembler.expire(after(2_000_000)), Some(Dropped::Silence));
        assert_eq!(take(&mut reassembler, &frames[1]), Err(Dropped::NotStarted));

        let mut patient = Reassembler::new(None);
        assert_eq!(take(&mut patient, &frames[0]), Ok(Progress::Partial));
        assert_eq!(patient.expire(after(u64::MAX)), None);
        assert_eq!(take(&mut patient, &frames[1]), Ok(Progress::Complete));
        assert_eq!(
            patient.expire(after(u64::MAX)),
            None,
            "a whole message does not expire"
        );
    }

    #[test]
    fn each_frame_starts_the_two_seconds_anew() {
        let frames = frames_of(60, &mut Fragmenter::new());
        let mut reassembler = fresh();
        for (frame, at) in frames.iter().zip([0, 1_900_000, 3_800_000, 5_700_000]) {
            assert_eq!(reassembler.expire(after(at)), None);
            assert!(reassembler.receive(after(at), &part(frame)).is_ok());
        }
        assert_eq!(reassembler.message(), expected(60));
    }

    #[test]
    fn lengths_outside_the_limits_are_refused_at_the_first_frame() {
        for (total, result) in [
            (0, Err(Dropped::Length)),
            (5, Err(Dropped::Length)),
            (6, Ok(Progress::Partial)),
            (1056, Ok(Progress::Partial)),
            (1057, Err(Dropped::Length)),
            (u16::MAX, Err(Dropped::Length)),
        ] {
            assert_eq!(
                take(&mut fresh(), &Frame::first(0, total, false, b"abcde")),
                result,
                "{total}"
            );
        }
    }

    #[test]
    fn lengths_that_do_not_hold_are_refused() {
        let start = |bytes: &[u8]| {
            let mut reassembler = fresh();
            assert_eq!(
                take(&mut reassembler, &Frame::first(0, 8, false, bytes)),
                Ok(Progress::Partial)
            );
            reassembler
        };
        assert_eq!(
            take(&mut start(b"abcde"), &Frame::next(1, true, b"fg")),
            Err(Dropped::Short)
        );
        assert_eq!(
            take(&mut start(b"abcde"), &Frame::next(1, true, b"fghi")),
            Err(Dropped::Overrun)
        );
        assert_eq!(
            take(&mut start(b"abcde"), &Frame::next(1, false, b"fgh")),
            Err(Dropped::Overrun),
            "all bytes, not the last"
        );
        assert_eq!(
            take(&mut fresh(), &Frame::first(0, 8, true, b"abcde")),
            Err(Dropped::Short)
        );
        assert_eq!(
            take(&mut fresh(), &Frame::first(0, 6, true, b"abcdefg")),
            Err(Dropped::Overrun)
        );
    }

    /// 1,024 bytes are the limit even for a sender that never says "last".
    #[test]
    fn an_endless_message_is_an_overrun() {
        let mut reassembler = fresh();
        let payload = [0; 200];
        assert_eq!(
            take(&mut reassembler, &Frame::first(0, 1024, false, &payload)),
            Ok(Progress::Partial)
        );
        for sequence in 1..=4 {
            assert_eq!(
                take(&mut reassembler, &Frame::next(sequence, false, &payload)),
                Ok(Progress::Partial)
            );
        }
        assert_eq!(
            take(&mut reassembler, &Frame::next(5, false, &payload)),
            Err(Dropped::Overrun)
        );
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let frames = frames_of(2, &mut Fragmenter::new());
        for byte in 4..frames[0].len() {
            for bit in 0..8 {
                let Part {
                    sequence,
                    total,
                    last,
                    payload,
                } = part(&frames[0]);
                let mut payload = payload.to_vec();
                payload[byte - 4] ^= 1 << bit;
                let part = Part {
                    sequence,
                    total,
                    last,
                    payload: &payload,
                };
                assert_eq!(
                    fresh().receive(START, &part),
                    Err(Dropped::Checksum),
                    "byte {byte}, bit {bit}"
                );
            }
        }
    }

    #[test]
    fn a_new_first_frame_starts_anew() {
        let mut fragmenter = Fragmenter::new();
        let unfinished = frames_of(40, &mut fragmenter);
        let whole = frames_of(2, &mut fragmenter);
        let mut reassembler = fresh();
        assert_eq!(
            take(&mut reassembler, &unfinished[0]),
            Ok(Progress::Partial)
        );
        assert_eq!(take(&mut reassembler, &whole[0]), Ok(Progress::Complete));
        assert_eq!(reassembler.message(), expected(2));
    }
}
