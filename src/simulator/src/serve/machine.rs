//! The thread that owns the virtual pump and paces it against real time.
//!
//! Everything reaches it as a [`Order`] over one queue, so that the pump sees one thing after the other, each at its own time.

use super::attribute::{self, Attribute, AttributeError};
use super::pace::Pace;
use super::paper::Paper;
use crate::world::{Over, Peer, Pushed, World};
use anyhow::{Context, Result, anyhow};
use protocol::Mtu;
use protocol::presence::HOLD;
use std::convert::Infallible;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration as RealTime, Instant};
use tokio::sync::{mpsc, oneshot};
use units::{CarrierTime, Duration};

/// Messages to a phone that it has not taken yet; one that lets more pile up is not reading.
pub(super) const PHONE_QUEUE: usize = 64;
/// Real time between two looks at the queue while the machine cannot keep up.
const SLICE: RealTime = RealTime::from_millis(20);
/// Longest real time without a look at the clock.
const LONGEST_WAIT: RealTime = RealTime::from_millis(250);
/// How long `keeping_up` stays false after time was last lost.
const RECENTLY: RealTime = RealTime::from_secs(2);
/// How long a magnet stays that nobody takes away: long enough to count, and a little more.
const MAGNET_STAYS: RealTime = RealTime::from_micros(HOLD.micros() + 1_000_000);

/// What goes to a phone.
pub(super) enum ToPhone {
    /// A message.
    Message(Vec<u8>),
    /// The end of its connection, by the pump.
    HungUp(Over),
}

/// Why there is no link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoLink {
    /// Another phone has it.
    Taken,
    /// The pump does not show itself.
    NotShown,
}

/// What the machine can be told.
pub(super) enum Order {
    /// A phone wants the link. Answered with the connection's number.
    Connect {
        mtu: Mtu,
        phone: mpsc::Sender<ToPhone>,
        answer: oneshot::Sender<Result<u32, NoLink>>,
    },
    /// The phone of this connection sent a message.
    Message { connection: u32, message: Vec<u8> },
    /// The phone of this connection has gone.
    Disconnect { connection: u32 },
    /// Change something, or nothing, and tell how things stand.
    Simulation {
        change: Change,
        answer: oneshot::Sender<State>,
    },
    /// Tell what is on the paper that comes with the pump.
    Paper {
        answer: oneshot::Sender<Option<String>>,
    },
    /// The end.
    Stop,
}

/// What is to change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// How fast time runs.
    pub(super) speed: Option<u32>,
    /// Whether there is a magnet over the pump. One that comes goes by itself when it has been there for long enough.
    pub(super) magnet: Option<bool>,
}

/// How things stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) speed: u32,
    pub(super) magnet: bool,
    pub(super) armed: bool,
    pub(super) simulated: Duration,
    pub(super) keeping_up: bool,
}

/// A machine that runs in its own thread.
pub(super) struct Machine {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
    ended: Option<oneshot::Receiver<Infallible>>,
    paper_line: Option<String>,
}

impl Machine {
    /// Starts the thread. The pump has power already.
    pub(super) fn start(world: World, paper: Paper, speed: u32) -> Result<Self> {
        let runner = Runner::new(world, paper, speed);
        let paper_line = runner.paper.line();
        let (orders, queue) = channel();
        let (alive, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("virtual pump".to_owned())
            .spawn(move || {
                // Dropped at the end, whatever end it is.
                let _alive = alive;
                runner.run(&queue);
            })
            .context("the virtual pump's thread cannot be started")?;
        Ok(Self {
            orders,
            thread,
            ended: Some(ended),
            paper_line,
        })
    }

    /// Where to send orders.
    pub(super) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
    }

    /// What was on the paper at the start.
    pub(super) fn paper_line(&self) -> Option<&str> {
        self.paper_line.as_deref()
    }

    /// Waits for the thread to end by itself, which it does not unless it crashes. To be called once.
    pub(super) fn crash(&mut self) -> impl Future<Output = ()> + use<> {
        let ended = self.ended.take();
        async move {
            if let Some(ended) = ended {
                let _ = ended.await;
            }
        }
    }

    /// Takes the pump's power away and ends the thread.
    pub(super) fn stop(self) -> Result<()> {
        // A thread that has crashed takes no orders.
        let _ = self.orders.send(Order::Stop);
        self.thread
            .join()
            .map_err(|_| anyhow!("the virtual pump has crashed; its message stands above"))
    }
}

struct Runner {
    world: World,
    started: Instant,
    pace: Pace,
    lost_time_at: Option<RealTime>,
    /// When the magnet that is there goes.
    magnet_until: Option<RealTime>,
    paper: Paper,
    phone: Option<Phone>,
    connections: u32,
}

struct Phone {
    connection: u32,
    mtu: Mtu,
    messages: mpsc::Sender<ToPhone>,
}

impl Runner {
    fn new(world: World, paper: Paper, speed: u32) -> Self {
        let mut runner = Self {
            world,
            started: Instant::now(),
            pace: Pace::new(speed),
            lost_time_at: None,
            magnet_until: None,
            paper,
            phone: None,
            connections: 0,
        };
        runner.look_at_paper();
        runner
    }

    /// Somebody may have enrolled. Whether that is news.
    fn look_at_paper(&mut self) -> bool {
        if !self.world.is_enrolled() {
            return false;
        }
        self.paper.throw_pack_away().unwrap_or_else(|error| {
            eprintln!("the implant card cannot be kept: {error:#}");
            true
        })
    }

    fn run(mut self, queue: &Receiver<Order>) {
        loop {
            let real = self.catch_up();
            self.push();
            if self.look_at_paper()
                && let Some(line) = self.paper.line()
            {
                super::say(&format!("Enrolled. {line}"));
            }
            let wait = match self.world.next_event() {
                Some(next) => self.pace.wait(real, next).min(LONGEST_WAIT),
                None => LONGEST_WAIT,
            };
            let wait = match self.magnet_until {
                Some(until) => wait.min(until.saturating_sub(real)),
                None => wait,
            };
            match queue.recv_timeout(wait) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => {
                    self.catch_up();
                    self.obey(order);
                    // What came in is dealt with at once, not at the next look at the clock.
                    self.world.advance_to(self.world.now());
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        // The pump loses power; every write has gone through to the image file already.
        self.world.power_off();
    }

    /// Brings the world to the present, or as far as a slice of real time allows.
    fn catch_up(&mut self) -> RealTime {
        let began = self.started.elapsed();
        loop {
            let real = self.started.elapsed();
            self.world.set_carrier_time(carrier_time(real));
            if self.magnet_until.is_some_and(|until| until <= real) {
                self.magnet(real, false);
            }
            let target = self.pace.at(real);
            let stride = Duration::from_micros(1_000 * u64::from(self.pace.speed()));
            let next = self.world.now().saturating_add(stride).min(target);
            self.world.advance_to(next);
            if next == target {
                return real;
            }
            if self.started.elapsed().saturating_sub(began) >= SLICE {
                let real = self.started.elapsed();
                self.pace.fall_back(real, self.world.now());
                self.lost_time_at = Some(real);
                return real;
            }
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Connect { mtu, phone, answer } => self.connect(mtu, phone, answer),
            Order::Message {
                connection,
                message,
            } => {
                if self
                    .phone
                    .as_ref()
                    .is_some_and(|phone| phone.connection == connection)
                {
                    self.message(&message);
                }
            }
            Order::Disconnect { connection } => {
                if self
                    .phone
                    .as_ref()
                    .is_some_and(|phone| phone.connection == connection)
                {
                    self.hang_up();
                }
            }
            Order::Simulation { change, answer } => {
                let real = self.started.elapsed();
                if let Some(speed) = change.speed {
                    self.pace.change(real, speed);
                    self.lost_time_at = None;
                }
                if let Some(held) = change.magnet {
                    self.magnet(real, held);
                }
                // Whoever asked may have gone.
                let _ = answer.send(self.state(real));
            }
            Order::Paper { answer } => {
                let _ = answer.send(self.paper.text());
            }
            Order::Stop => {}
        }
    }

    fn magnet(&mut self, real: RealTime, held: bool) {
        self.magnet_until = held.then(|| real.saturating_add(MAGNET_STAYS));
        self.world.magnet(held);
    }

    fn state(&self, real: RealTime) -> State {
        let recently = |lost: RealTime| real.saturating_sub(lost) < RECENTLY;
        State {
            speed: self.pace.speed(),
            magnet: self.magnet_until.is_some(),
            armed: self.world.is_armed(),
            simulated: self.world.now(),
            keeping_up: !self.lost_time_at.is_some_and(recently),
        }
    }

    fn connect(
        &mut self,
        mtu: Mtu,
        messages: mpsc::Sender<ToPhone>,
        answer: oneshot::Sender<Result<u32, NoLink>>,
    ) {
        let refused = if self.phone.is_some() {
            Some(NoLink::Taken)
        } else if !self.world.shows_itself(Peer::Stranger) {
            Some(NoLink::NotShown)
        } else {
            None
        };
        if let Some(why) = refused {
            let _ = answer.send(Err(why));
            return;
        }
        self.connections = self.connections.wrapping_add(1);
        let connection = self.connections;
        if answer.send(Ok(connection)).is_ok() && self.world.connect(mtu) {
            self.phone = Some(Phone {
                connection,
                mtu,
                messages,
            });
        }
    }

    fn hang_up(&mut self) {
        self.phone = None;
        self.world.disconnect();
    }

    fn message(&mut self, message: &[u8]) {
        let Some(phone) = &self.phone else { return };
        let reply = match attribute::read(message, phone.mtu) {
            Ok(attribute::Asked::WriteCommand(frame)) => {
                self.world.write_command(frame);
                return;
            }
            Ok(attribute::Asked::Read(read)) => match self.value(read) {
                Ok(value) => attribute::message(read, &value),
                Err(error) => error.message(),
            },
            Err(error) => error.message(),
        };
        self.send(ToPhone::Message(reply));
    }

    fn value(&mut self, attribute: Attribute) -> Result<Vec<u8>, AttributeError> {
        Ok(match attribute {
            Attribute::Info => self.world.info(),
            Attribute::Response => self.world.response(),
            Attribute::StatusChanged => self.world.status_changed().to_le_bytes().to_vec(),
            Attribute::EmergencyCard => self
                .world
                .card()
                .ok_or_else(AttributeError::card_not_shown)?,
            // Nobody may read it, and `attribute::read` does not let anybody.
            Attribute::Command => Vec::new(),
        })
    }

    /// Hands on what the pump says by itself.
    fn push(&mut self) {
        for pushed in self.world.take_pushed() {
            self.send(match pushed {
                Pushed::Response(fragment) => {
                    ToPhone::Message(attribute::message(Attribute::Response, &fragment))
                }
                Pushed::StatusChanged(flags) => ToPhone::Message(attribute::message(
                    Attribute::StatusChanged,
                    &flags.to_le_bytes(),
                )),
                Pushed::HungUp(over) => ToPhone::HungUp(over),
            });
        }
    }

    fn send(&mut self, message: ToPhone) {
        let ends = matches!(message, ToPhone::HungUp(_));
        let failed = self
            .phone
            .as_ref()
            .is_some_and(|phone| phone.messages.try_send(message).is_err());
        if failed || ends {
            // Gone, not reading, or told to go: dropping the queue's end closes the socket.
            self.hang_up();
        }
    }
}

fn carrier_time(real: RealTime) -> CarrierTime {
    CarrierTime::from_micros(u64::try_from(real.as_micros()).unwrap_or(u64::MAX))
}
