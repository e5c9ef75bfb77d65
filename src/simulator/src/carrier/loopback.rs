//! A virtual pump's link: GATT in binary WebSocket messages (`docs/virtual-pump.md`).

use super::Carrier;
use crate::serve::Attribute;
use anyhow::{Context, Result, anyhow, bail};
use protocol::{Mtu, uuid};
use std::io::ErrorKind;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};
use tungstenite::error::Error;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{HandshakeError, Message, WebSocket};

/// How long the server has to accept the connection and the link.
const OPENING: Duration = Duration::from_secs(5);
/// How long it has to answer a read.
const READING: Duration = Duration::from_secs(5);
/// How long a write may be held up.
const WRITING: Duration = Duration::from_secs(10);

/// The attribute byte of the emergency card (`docs/virtual-pump.md`).
const EMERGENCY_CARD: u8 = uuid::EMERGENCY_CARD.to_be_bytes()[3];

/// A WebSocket to a virtual pump.
#[derive(Debug)]
pub struct Loopback {
    socket: WebSocket<TcpStream>,
    /// Fragments that came while something else was waited for.
    fragments: std::collections::VecDeque<Vec<u8>>,
}

impl Loopback {
    /// Connects to the virtual pump at `address`, `HOST:PORT`.
    ///
    /// # Errors
    /// When nothing listens there, or what listens is no virtual pump, or its link is taken.
    pub fn connect(address: &str) -> Result<Self> {
        let target = address
            .to_socket_addrs()
            .ok()
            .and_then(|mut found| found.next())
            .with_context(|| {
                format!(
                    "{address} is no address of this network; HOST:PORT is wanted, for example 127.0.0.1:8480"
                )
            })?;
        let stream =
            TcpStream::connect_timeout(&target, OPENING).map_err(|error| match error.kind() {
                ErrorKind::ConnectionRefused => {
                    anyhow!("no virtual pump listens at {address}; `thecal serve` starts one")
                }
                _ => anyhow!(error).context(format!("{address} cannot be reached")),
            })?;
        stream
            .set_nodelay(true)
            .and_then(|()| stream.set_read_timeout(Some(OPENING)))
            .and_then(|()| stream.set_write_timeout(Some(WRITING)))
            .with_context(|| format!("the connection to {address}"))?;
        let link = format!("ws://{address}/link?mtu={}", Mtu::HIGHEST.bytes());
        let (socket, _) =
            tungstenite::client(link, stream).map_err(|error| refused(address, error))?;
        Ok(Self {
            socket,
            fragments: std::collections::VecDeque::new(),
        })
    }

    /// The next message from the pump; none when there is none for so long.
    fn message(&mut self, patience: Duration) -> Result<Option<(u8, Vec<u8>)>> {
        let until = Instant::now() + patience;
        loop {
            // A time-out of zero would be none.
            let left = until
                .saturating_duration_since(Instant::now())
                .max(Duration::from_millis(1));
            self.socket
                .get_ref()
                .set_read_timeout(Some(left))
                .context("the connection to the pump")?;
            match self.socket.read() {
                Ok(Message::Binary(message)) => {
                    if let Some((attribute, value)) = message.split_first() {
                        return Ok(Some((*attribute, value.to_vec())));
                    }
                }
                Ok(Message::Close(frame)) => bail!(closed(frame.as_ref())),
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(error) => return Err(error).context("the connection to the pump was lost"),
            }
            if Instant::now() >= until {
                return Ok(None);
            }
        }
    }

    /// Reads an attribute: its value, or the error code that GATT would have answered.
    fn read(&mut self, wanted: u8) -> Result<Result<Vec<u8>, u8>> {
        self.socket
            .send(Message::Binary(vec![wanted].into()))
            .context("the connection to the pump was lost")?;
        let until = Instant::now() + READING;
        while let Some((attribute, value)) =
            self.message(until.saturating_duration_since(Instant::now()))?
        {
            match (attribute, value.as_slice()) {
                (attribute, _) if attribute == wanted => return Ok(Ok(value)),
                (0, [refused, code]) if *refused == wanted => return Ok(Err(*code)),
                (attribute, _) if attribute == Attribute::Response as u8 => {
                    self.fragments.push_back(value);
                }
                (_, _) => {}
            }
        }
        bail!("the pump does not answer")
    }
}

impl Carrier for Loopback {
    fn mtu(&self) -> Mtu {
        Mtu::HIGHEST
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        match self.read(Attribute::Info as u8)? {
            Ok(value) => Ok(value),
            Err(code) => bail!("the pump refuses to be asked for Info (error {code:#04x})"),
        }
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        let message = [&[Attribute::Command as u8], frame].concat();
        self.socket
            .send(Message::Binary(message.into()))
            .context("the connection to the pump was lost")
    }

    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>> {
        if let Some(fragment) = self.fragments.pop_front() {
            return Ok(Some(fragment));
        }
        let until = Instant::now() + patience;
        while let Some((attribute, value)) =
            self.message(until.saturating_duration_since(Instant::now()))?
        {
            if attribute == Attribute::Response as u8 {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        // Whatever the error: it is not shown.
        Ok(self.read(EMERGENCY_CARD)?.ok())
    }
}

impl Drop for Loopback {
    /// Frees the pump's one link at once. Whoever does not hear of it notices that the connection is gone.
    fn drop(&mut self) {
        let _ = self.socket.close(Some(CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        }));
        let _ = self.socket.flush();
    }
}

/// Why what listens there is no link.
fn refused<S: tungstenite::handshake::HandshakeRole>(
    address: &str,
    error: HandshakeError<S>,
) -> anyhow::Error {
    match error {
        HandshakeError::Failure(Error::Http(answer)) if answer.status() == 403 => anyhow!(
            "the virtual pump at {address} does not go by this name: use 127.0.0.1 or localhost with its port"
        ),
        HandshakeError::Failure(Error::Io(error))
            if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
        {
            anyhow!("what listens at {address} does not answer")
        }
        HandshakeError::Failure(error) => {
            anyhow!(error).context(format!("what listens at {address} is no virtual pump"))
        }
        HandshakeError::Interrupted(_) => anyhow!("what listens at {address} does not answer"),
    }
}

/// How the server said farewell.
fn closed(frame: Option<&CloseFrame>) -> String {
    match frame {
        Some(frame) if !frame.reason.is_empty() => {
            format!("the virtual pump has closed the link: {}", frame.reason)
        }
        Some(_) | None => "the virtual pump has closed the link".to_owned(),
    }
}
