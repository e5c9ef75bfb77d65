//! What the link costs the pump's processor: instructions of a Cortex-M4, counted by QEMU (docs/performance.md, "The link").
//!
//! ```text
//! scripts/cost
//! ```
//!
//! QEMU gives each instruction the same time, so that the processor's own timer counts them. A loop whose instructions are known is counted
//! first: a wrong count ends the run. What an instruction takes on silicon, waiting for flash included, is not said by this.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use cortex_m::Peripherals;
use cortex_m::asm;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::entry;
use cortex_m_semihosting::debug::{self, EXIT_FAILURE, EXIT_SUCCESS};
use cortex_m_semihosting::hprintln;
use heapless::Vec;
use protocol::seal::{Sealer, TAG_BYTES};
use protocol::{
    Client, Credentials, ENROLMENT_SLOT, Frame, Info, Lifecycle, Mtu, Received, Role, Secret,
    Session, SessionId, Situation, Slot,
};
use units::CarrierTime;

const NOW: CarrierTime = CarrierTime::from_micros(0);

/// The timer of the board ticks 25 million times a second, and an instruction takes 32 ns: five instructions are four ticks.
const TICKS: u32 = 4;
const INSTRUCTIONS: u32 = 5;
const TIMER_TOP: u32 = 0x00ff_ffff;

/// Counts instructions.
struct Counter {
    timer: SYST,
    /// Of counting nothing.
    overhead: u32,
}

impl Counter {
    fn new(mut timer: SYST) -> Counter {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(TIMER_TOP);
        timer.enable_counter();
        let mut counter = Counter { timer, overhead: 0 };
        counter.overhead = counter.count(|| {});
        counter
    }

    #[inline(never)]
    fn count(&mut self, work: impl FnOnce()) -> u32 {
        self.timer.clear_current();
        // It loads its top with the next tick.
        while SYST::get_current() == 0 {}
        self.timer.has_wrapped();
        let before = SYST::get_current();
        work();
        let after = SYST::get_current();
        assert!(!self.timer.has_wrapped(), "more than the timer can count");
        (before - after) * INSTRUCTIONS / TICKS - self.overhead
    }

    /// Counts and prints.
    fn row(&mut self, what: &str, work: impl FnOnce()) {
        let instructions = self.count(work);
        hprintln!("| {} | {} |", what, instructions);
    }

    /// A turn of `delay` is two instructions, `subs` and `bne`: two of its loops differ by what they must, but for a tick at each end.
    fn check(&mut self) {
        let [few, many] = [10_000, 1_010_000].map(|turns| self.count(|| asm::delay(turns)));
        let found = many - few;
        assert!(
            (1_999_996..=2_000_004).contains(&found),
            "a million turns: {found} instructions"
        );
    }
}

fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

/// A pump with a key in every slot.
fn pump() -> Session {
    let mut session = Session::new(Situation {
        lifecycle: Lifecycle::InService,
        armed: false,
        alarm: false,
    });
    let keyring = session.keyring();
    keyring.set_pump(secret(1));
    for slot in (0..8).chain([ENROLMENT_SLOT]) {
        let public = secret(2).public_key();
        keyring.set(
            slot,
            Some(Slot::new(Role::Clinician, Some(public), secret(slot), 0)),
        );
    }
    session
}

type Frames = Vec<Frame, 4>;

/// A Hello, right or with a wrong secret.
fn hello(info: &Info, preshared: Secret) -> Frames {
    let credentials = Credentials::new(0, secret(2), preshared, secret(1).public_key());
    let mut phone = Client::new();
    phone.opened(Mtu::HIGHEST);
    assert!(phone.open(NOW, info, &credentials, secret(5)).is_ok());
    phone.frames().collect()
}

fn connect(session: &mut Session, info: &Info, frames: &Frames, opens: bool) {
    session.opened(SessionId(1), Mtu::HIGHEST, info, secret(4));
    for frame in frames {
        let received = session.receive(NOW, black_box(frame));
        assert_eq!(matches!(received, Received::Opened(_)), opens);
    }
}

#[entry]
fn main() -> ! {
    let Some(peripherals) = Peripherals::take() else {
        panic!("the peripherals are taken");
    };
    let mut counter = Counter::new(peripherals.SYST);
    counter.check();

    let info = Info::new(0, *b"eight by", Lifecycle::InService, false);
    let mut session = pump();
    let forged = hello(&info, secret(99));
    let right = hello(&info, secret(0));
    hprintln!("| what | instructions |");
    hprintln!("|---|---|");
    counter.row(
        "a connection and a forged Hello, refused and told so",
        || {
            connect(&mut session, &info, &forged, false);
        },
    );
    counter.row("a connection and a handshake", || {
        connect(&mut session, &info, &right, true);
    });
    let sealer = Sealer::new(secret(7));
    for length in [64, 244] {
        let mut buffer = [0; 244 + TAG_BYTES];
        let mut sealed = None;
        counter.row(
            if length == 64 {
                "sealing 64 bytes"
            } else {
                "sealing 244 bytes"
            },
            || {
                sealed = sealer.seal(1, black_box(&mut buffer), length);
            },
        );
        assert_eq!(sealed, Some(length + TAG_BYTES));
        let mut opened = None;
        counter.row(
            if length == 64 {
                "opening 64 bytes"
            } else {
                "opening 244 bytes"
            },
            || {
                let sealed = black_box(&mut buffer).get_mut(..length + TAG_BYTES);
                opened = sealed
                    .and_then(|sealed| sealer.open(1, sealed))
                    .map(<[u8]>::len);
            },
        );
        assert_eq!(opened, Some(length));
    }
    debug::exit(EXIT_SUCCESS);
    panic!("QEMU did not end");
}

#[panic_handler]
fn failed(reason: &PanicInfo<'_>) -> ! {
    hprintln!("{}", reason);
    debug::exit(EXIT_FAILURE);
    loop {}
}
