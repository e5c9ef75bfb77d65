//! A session with a pump over any [`Carrier`]: opened with a key, asked in real time, and honest about what became of each command.
//!
//! Everything that this program says to a pump goes through a [`Conversation`]; it knows nothing of what is asked.

use crate::carrier::Carrier;
use anyhow::{Context, anyhow};
use protocol::{
    Client, ClientEvent, Command, CommandKind, Credentials, Ended, Fate, Info, Outcome, Reason,
    RequestError, Role, Secret,
};
use std::fmt;
use std::time::{Duration, Instant};
use units::CarrierTime;
use zeroize::Zeroize;

/// How long the client sleeps at most before it looks at its own time-outs.
const PATIENCE: Duration = Duration::from_millis(250);

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// There is no connection, or what is connected cannot be spoken with. Nothing was asked.
    NoConnection(anyhow::Error),
    /// The pump opens no session with this key. Nothing was asked.
    NotLetIn(Reason),
    /// A command could not be sent. Certainly not done.
    NotSent(CommandKind, RequestError),
    /// A command has ended without an answer.
    Ended {
        /// Which.
        command: CommandKind,
        /// Its command number ([`protocol::Request::number`]); 0 for one that has none.
        number: u32,
        /// How.
        ended: Ended,
        /// What the carrier said of it.
        cause: Option<anyhow::Error>,
    },
}

impl Failure {
    /// What it says about the command.
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self {
            Self::NoConnection(_) | Self::NotLetIn(_) | Self::NotSent(..) => Fate::CertainlyNot,
            Self::Ended { ended, .. } => ended.fate,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoConnection(error) => write!(out, "{error:#}"),
            Self::NotLetIn(reason) => write!(out, "{reason}"),
            Self::NotSent(command, error) => write!(out, "{command}: {error}"),
            Self::Ended {
                command,
                ended,
                cause,
                ..
            } => {
                write!(out, "{command}: {ended}")?;
                match cause {
                    Some(cause) => write!(out, ": {cause:#}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl std::error::Error for Failure {}

/// An open session.
pub struct Conversation<C: Carrier> {
    client: Client,
    carrier: C,
    began: Instant,
    info: Info,
    role: Role,
    /// The last command number of the key, from the Welcome.
    last_number: u32,
    round_trips: u32,
}

impl<C: Carrier> Conversation<C> {
    /// Opens a session over a fresh connection.
    ///
    /// # Errors
    /// [`Failure::NoConnection`] and [`Failure::NotLetIn`].
    pub fn open(mut carrier: C, credentials: &Credentials) -> Result<Self, Failure> {
        let info = info(&mut carrier).map_err(Failure::NoConnection)?;
        let mut client = Client::new();
        client.opened(carrier.mtu());
        let mut conversation = Self {
            client,
            carrier,
            began: Instant::now(),
            info,
            role: Role::Enrolling,
            last_number: 0,
            round_trips: 1,
        };
        let now = conversation.now();
        let random = random().map_err(Failure::NoConnection)?;
        conversation
            .client
            .open(now, &conversation.info, credentials, random)
            .map_err(|error| Failure::NoConnection(anyhow!(error)))?;
        match conversation.event() {
            Ok(ClientEvent::Welcome(welcome)) => {
                conversation.role = welcome.role;
                conversation.last_number = welcome.last_number;
                Ok(conversation)
            }
            Ok(ClientEvent::Ended(ended)) => Err(match ended.reason {
                Reason::Closed | Reason::Silence | Reason::Dropped(_) => {
                    Failure::NoConnection(anyhow!(ended.reason.to_string()))
                }
                reason => Failure::NotLetIn(reason),
            }),
            Ok(_) => Err(Failure::NoConnection(anyhow!("the pump did not answer"))),
            Err((_, error)) => Err(Failure::NoConnection(error)),
        }
    }

    /// What was read before anything was said.
    #[must_use]
    pub const fn info(&self) -> &Info {
        &self.info
    }

    /// In which role this session speaks.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The last command number of the key when the session was opened: what was sent before with a higher one was certainly not done.
    #[must_use]
    pub const fn last_number(&self) -> u32 {
        self.last_number
    }

    /// Questions asked so far, the handshake included.
    #[must_use]
    pub const fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// Asks and waits for the answer.
    ///
    /// # Errors
    /// [`Failure::NotSent`] and [`Failure::Ended`].
    pub fn ask(&mut self, command: &Command) -> Result<Outcome, Failure> {
        let kind = command.kind();
        self.round_trips = self.round_trips.saturating_add(1);
        let id = self
            .client
            .request(self.now(), command)
            .map_err(|error| Failure::NotSent(kind, error))?;
        let number = if kind.is_numbered() {
            self.client.last_number()
        } else {
            0
        };
        let ended = |ended, cause| Failure::Ended {
            command: kind,
            number,
            ended,
            cause,
        };
        match self.event() {
            Ok(ClientEvent::Answer(answer)) => Ok(answer.outcome),
            Ok(ClientEvent::Ended(end)) => Err(ended(end, None)),
            // A Welcome to no Hello: `Client` gives none.
            Ok(ClientEvent::Welcome(_) | ClientEvent::Nothing) => {
                Err(ended(unknown(id, Reason::NotThePump), None))
            }
            Err((end, error)) => {
                let end = end.unwrap_or_else(|| unknown(id, Reason::Closed));
                Err(ended(end, Some(error)))
            }
        }
    }

    /// Until something has come of what was asked. When the connection breaks, the end of it, and what the carrier said.
    fn event(&mut self) -> Result<ClientEvent, (Option<Ended>, anyhow::Error)> {
        loop {
            let moved = self.write().and_then(|()| self.carrier.response(PATIENCE));
            let mut event = match moved {
                Ok(Some(fragment)) => self.client.receive(self.now(), &fragment),
                Ok(None) => ClientEvent::Nothing,
                Err(error) => return Err((self.client.closed(), error)),
            };
            if event == ClientEvent::Nothing {
                event = self.client.tick(self.now());
            }
            if event != ClientEvent::Nothing {
                // The acknowledgement of the last fragment. Its loss changes nothing about the answer.
                let _ = self.write();
                return Ok(event);
            }
        }
    }

    fn write(&mut self) -> anyhow::Result<()> {
        while let Some(frame) = self.client.next_frame() {
            self.carrier.write(&frame)?;
        }
        Ok(())
    }

    fn now(&self) -> CarrierTime {
        let micros = self.began.elapsed().as_micros();
        CarrierTime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// What a connected pump says of itself to everybody.
///
/// # Errors
/// When it does not say it, or speaks another version.
pub fn info(carrier: &mut dyn Carrier) -> anyhow::Result<Info> {
    Ok(Info::decode(&carrier.info()?)?)
}

/// 32 bytes of the operating system's randomness.
///
/// # Errors
/// When it has none.
pub fn random() -> anyhow::Result<Secret> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow!("{error}"))
        .context("this computer gives no random numbers")?;
    let secret = Secret::new(bytes);
    bytes.zeroize();
    Ok(secret)
}

const fn unknown(id: u32, reason: Reason) -> Ended {
    Ended {
        id,
        fate: Fate::Unknown,
        reason,
    }
}
