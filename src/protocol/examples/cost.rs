//! What the link costs the pump's processor, for counting its instructions (docs/performance.md, "The link").
//!
//! ```text
//! cargo build --release -p protocol --example cost
//! valgrind --tool=callgrind target/release/examples/cost handshake 100
//! ```
//!
//! What one costs is the difference of two runs divided by that of their repetitions: the phone's part is done beforehand and the same in both.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a tool of the developers"
)]

use std::hint::black_box;

use protocol::{
    Client, Credentials, ENROLMENT_SLOT, Info, Lifecycle, Mtu, Received, Role, Secret, Session,
    SessionId, Situation, Slot,
};
use units::CarrierTime;

const NOW: CarrierTime = CarrierTime::from_micros(0);

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
        let key = Slot::new(Role::Clinician, Some(public), secret(slot), 0);
        keyring.set(slot, Some(key));
    }
    session
}

/// The frames of a Hello, right or with a wrong secret.
fn hello(info: &Info, preshared: Secret) -> Vec<Vec<u8>> {
    let credentials = Credentials::new(0, secret(2), preshared, secret(1).public_key());
    let mut phone = Client::new();
    phone.opened(Mtu::HIGHEST);
    phone.open(NOW, info, &credentials, secret(5)).unwrap();
    phone.frames().map(|frame| frame.to_vec()).collect()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let what = arguments.next().unwrap_or_default();
    let times: u32 = arguments
        .next()
        .and_then(|times| times.parse().ok())
        .unwrap_or_else(|| panic!("cost handshake|forgery|seal-64|seal-244|open-244 TIMES"));
    let info = Info::new(0, *b"eight by", Lifecycle::InService, false);
    let mut session = pump();
    let right = hello(&info, secret(0));
    let forged = hello(&info, secret(99));
    session.opened(SessionId(1), Mtu::HIGHEST, &info, secret(4));
    for frame in &right {
        session.receive(NOW, frame);
    }
    assert!(session.caller().is_some());
    match what.as_str() {
        "handshake" | "forgery" => {
            let frames = if what == "handshake" { &right } else { &forged };
            for number in 0..times {
                session.opened(SessionId(number), Mtu::HIGHEST, &info, secret(4));
                for frame in frames {
                    let received = session.receive(NOW, black_box(frame));
                    assert_eq!(matches!(received, Received::Opened(_)), what == "handshake");
                }
            }
        }
        "seal-64" | "seal-244" | "open-244" => {
            let length = if what == "seal-64" { 64 } else { 244 };
            let sealer = protocol::seal::Sealer::new(secret(7));
            let mut sealed = vec![0; length + 16];
            sealer.seal(1, &mut sealed, length).unwrap();
            for _ in 0..times {
                let mut buffer = sealed.clone();
                if what == "open-244" {
                    black_box(sealer.open(1, &mut buffer).unwrap());
                } else {
                    black_box(sealer.seal(1, &mut buffer, length).unwrap());
                }
            }
        }
        other => panic!("{other}: cost handshake|forgery|seal-64|seal-244|open-244 TIMES"),
    }
}
