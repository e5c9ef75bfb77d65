//! What it takes to program a pump: messages, frames and bytes over the lowest and the highest MTU, held against docs/performance.md.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may panic"
)]

use std::path::Path;

use protocol::{
    Answer, Client, ClientEvent, Command, Commit, Fill, FlexWeek, Mode, Mtu, Outcome, Program,
    Received, Role, Session, SessionId, Situation,
};
use units::{CarrierTime, Per};

mod samples;

const NOW: CarrierTime = CarrierTime::from_micros(0);
const CONNECTION: SessionId = SessionId(1);

/// A phone and a pump, and what has gone between them, acknowledgements included.
struct Link {
    phone: Client,
    pump: Session,
    round_trips: usize,
    to_pump: Vec<usize>,
    to_phone: Vec<usize>,
}

impl Link {
    fn new(mtu: Mtu) -> Link {
        let mut pump = Session::new(Situation {
            lifecycle: protocol::Lifecycle::InService,
            armed: false,
            alarm: false,
        });
        *pump.keyring() = samples::keyring();
        let mut phone = Client::new();
        let info = samples::info(1);
        pump.opened(CONNECTION, mtu, &info, samples::secret(77));
        phone.opened(mtu);
        let credentials = samples::credentials(Role::Clinician);
        phone
            .open(NOW, &info, &credentials, samples::secret(88))
            .unwrap();
        let mut link = Link {
            phone,
            pump,
            round_trips: 0,
            to_pump: Vec::new(),
            to_phone: Vec::new(),
        };
        let answered = link.exchange(|request| panic!("{request:?} unasked for"));
        assert!(matches!(answered, ClientEvent::Welcome(_)));
        link
    }

    /// Carries frames, each once and whole, until the phone has what it asked for.
    fn exchange(&mut self, pump: impl Fn(Command) -> Outcome) -> ClientEvent {
        self.round_trips += 1;
        let mut event = ClientEvent::Nothing;
        loop {
            let frames: Vec<_> = self.phone.frames().collect();
            for frame in &frames {
                self.to_pump.push(frame.len());
                if let Received::Request(request) = self.pump.receive(NOW, frame) {
                    let outcome = pump(request.command);
                    let id = request.id;
                    self.pump
                        .answer(CONNECTION, &Answer { id, outcome })
                        .unwrap();
                }
            }
            let Some(fragment) = self.pump.indication().map(<[u8]>::to_vec) else {
                return event;
            };
            self.to_phone.push(fragment.len());
            event = self.phone.receive(NOW, &fragment);
        }
    }

    fn ask(&mut self, command: &Command, outcome: &Outcome) {
        self.phone.request(NOW, command).unwrap();
        let event = self.exchange(|_| outcome.clone());
        let ClientEvent::Answer(answer) = event else {
            panic!("{event:?}");
        };
        assert_eq!(answer.outcome, *outcome);
    }
}

/// Baclofen 2 mg/mL, around 40 mcg/h, with the fill: a dose for the whole day or one for each of so many steps.
fn program(steps: u16) -> Program {
    let mode = if steps == 1 {
        samples::continuous(960_000, Per::Day)
    } else {
        let mut week = FlexWeek::new(Per::Hour);
        week.push_pattern((0..steps).map(|step| (60 * step, 40_000 + u32::from(step))))
            .unwrap();
        Mode::Flex { week }
    };
    Program {
        fill: Some(Fill {
            volume_nl: 40_000_000,
            top_up: false,
        }),
        ..Program::new(samples::BACLOFEN, mode)
    }
}

/// One line of the table.
fn row(steps: u16, mtu: Mtu) -> String {
    let program = program(steps);
    let staged = samples::staged(program.clone(), 4);
    let commit = Command::Commit(Commit {
        digest: staged.digest,
        shown: staged.shown(),
        reason: None,
    });
    let mut link = Link::new(mtu);
    let before = link.to_pump.len();
    let staged = Outcome::Staged(staged);
    link.phone
        .request(NOW, &Command::Stage(program.clone()))
        .unwrap();
    let event = link.exchange(|command| {
        assert_eq!(command, Command::Stage(program.clone()));
        staged.clone()
    });
    assert!(matches!(event, ClientEvent::Answer(answer) if answer.outcome == staged));
    let stage_frames = link.to_pump[before..]
        .iter()
        .filter(|length| **length > 2)
        .count();
    link.ask(&Command::ReadBack, &staged);
    link.ask(&commit, &Outcome::Committed { program_number: 4 });
    let sum = |frames: &[usize]| frames.iter().sum::<usize>();
    format!(
        "| {steps} | {} | {} | {stage_frames} | {} | {} | {} | {} |",
        mtu.bytes(),
        link.round_trips,
        link.to_pump.len(),
        sum(&link.to_pump),
        link.to_phone.len(),
        sum(&link.to_phone)
    )
}

#[test]
fn what_programming_takes_is_what_the_document_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/performance.md");
    let page = std::fs::read_to_string(page).unwrap();
    for steps in [1, 13, 24] {
        for mtu in [Mtu::LOWEST, Mtu::HIGHEST] {
            let row = row(steps, mtu);
            println!("{row}");
            assert!(page.contains(&row), "docs/performance.md lacks: {row}");
        }
    }
}
