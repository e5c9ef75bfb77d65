//! A pump for tests of the phone's side: the real session on the wire, in this process, and behind it whatever a test wants.

use crate::carrier::Carrier;
use anyhow::{Result, bail};
use protocol::{
    Answer, Caller, Command, Credentials, Info, KeyText, Lifecycle, Mtu, Outcome, Received, Role,
    Secret, Session, SessionId, Situation, Slot,
};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;
use units::CarrierTime;

/// What a test pump answers to somebody.
pub(crate) type Answers<'t> = Box<dyn FnMut(Caller, &Command) -> Outcome + 't>;

/// A pump that answers what a test wants.
pub(crate) struct TestPump<'t> {
    session: Session,
    private: Secret,
    connections: u32,
    nonce: u8,
    pub(crate) situation: Situation,
    pub(crate) schema_hash: u64,
    pub(crate) card: Option<Vec<u8>>,
    /// Breaks the connection instead of answering this many commands that change something; they are done all the same.
    pub(crate) lost_answers: u32,
    /// Does not hear, and breaks the connection, when such a command begins.
    pub(crate) lost_commands: u32,
    answers: Answers<'t>,
}

/// A connection to it.
pub(crate) struct Line<'t> {
    pump: Rc<RefCell<TestPump<'t>>>,
    fragment: Option<Vec<u8>>,
    broken: bool,
}

pub(crate) fn secret(byte: u8) -> Secret {
    Secret::new([byte; 32])
}

impl<'t> TestPump<'t> {
    /// One that lets in a key of this role, in slot 0.
    pub(crate) fn new(
        role: Role,
        answers: impl FnMut(Caller, &Command) -> Outcome + 't,
    ) -> Rc<RefCell<Self>> {
        let situation = Situation {
            lifecycle: Lifecycle::InService,
            armed: false,
            alarm: false,
        };
        let mut pump = Self {
            session: Session::new(situation),
            private: secret(1),
            connections: 0,
            nonce: 0,
            situation,
            schema_hash: protocol::SCHEMA_HASH,
            card: None,
            lost_answers: 0,
            lost_commands: 0,
            answers: Box::new(answers),
        };
        pump.session.keyring().set_pump(secret(1));
        let key = pump.key();
        pump.set_key(
            0,
            Some(Slot::new(
                role,
                Some(key.private.public_key()),
                key.preshared,
                0,
            )),
        );
        Rc::new(RefCell::new(pump))
    }

    pub(crate) fn set_key(&mut self, slot: u8, key: Option<Slot>) {
        self.session.keyring().set(slot, key);
    }

    /// The key in slot 0.
    pub(crate) fn key(&self) -> KeyText {
        KeyText {
            pump: self.private.public_key(),
            private: secret(2),
            preshared: secret(3),
            slot: 0,
        }
    }

    pub(crate) fn credentials(&self) -> Credentials {
        self.key().credentials()
    }
}

/// Connects anew.
pub(crate) fn connect<'t>(pump: &Rc<RefCell<TestPump<'t>>>) -> Line<'t> {
    {
        let pump = &mut *pump.borrow_mut();
        pump.connections += 1;
        pump.nonce += 1;
        pump.session.set_situation(pump.situation);
        let info = pump.info();
        pump.session.opened(
            SessionId(pump.connections),
            Mtu::LOWEST,
            &info,
            secret(100 + pump.nonce),
        );
    }
    Line {
        pump: Rc::clone(pump),
        fragment: None,
        broken: false,
    }
}

impl TestPump<'_> {
    fn info(&self) -> Info {
        Info {
            schema_hash: self.schema_hash,
            ..Info::new(
                1,
                [self.nonce; 8],
                self.situation.lifecycle,
                self.situation.armed,
            )
        }
    }
}

impl Carrier for Line<'_> {
    fn mtu(&self) -> Mtu {
        Mtu::LOWEST
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        let mut buffer = [0; Info::LIMIT];
        let info = self.pump.borrow().info();
        Ok(info.encode(&mut buffer).expect("short").to_vec())
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        if self.broken {
            bail!("the line is cut");
        }
        let pump = &mut *self.pump.borrow_mut();
        let now = CarrierTime::from_micros(0);
        if pump.lost_commands > 0 && pump.session.caller().is_some() && pump.lost_answers == 0 {
            pump.lost_commands -= 1;
            self.broken = true;
            return Ok(());
        }
        if let Received::Request(request) = pump.session.receive(now, frame)
            && let Some(caller) = pump.session.caller()
        {
            let outcome = (pump.answers)(caller, &request.command);
            if request.command.kind().is_numbered() && pump.lost_answers > 0 {
                pump.lost_answers -= 1;
                self.broken = true;
                return Ok(());
            }
            let answer = Answer {
                id: request.id,
                outcome,
            };
            pump.session
                .answer(SessionId(pump.connections), &answer)
                .expect("an answer");
        }
        self.fragment = Some(pump.session.response().to_vec());
        Ok(())
    }

    fn response(&mut self, _: Duration) -> Result<Option<Vec<u8>>> {
        if self.broken {
            bail!("the line is cut");
        }
        Ok(self.fragment.take())
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        Ok(self.pump.borrow().card.clone())
    }
}
