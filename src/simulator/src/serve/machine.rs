//! The thread that owns the virtual pump and paces it against real time.
//!
//! Everything reaches it as a [`Order`] over one queue, so that the pump sees one thing after the other, each at its own time.

use super::attribute::{self, Attribute};
use super::pace::Pace;
use crate::world::{Pushed, World};
use anyhow::{Context, Result, anyhow};
use protocol::Mtu;
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

/// What the machine can be told.
pub(super) enum Order {
    /// A phone wants the link. Answered with the connection's number, or nothing when the link is taken.
    Connect {
        mtu: Mtu,
        phone: mpsc::Sender<Vec<u8>>,
        answer: oneshot::Sender<Option<u32>>,
    },
    /// The phone of this connection sent a message.
    Message { connection: u32, message: Vec<u8> },
    /// The phone of this connection has gone.
    Disconnect { connection: u32 },
    /// Another speed, if there is one, and how things stand.
    Speed {
        speed: Option<u32>,
        answer: oneshot::Sender<State>,
    },
    /// The end.
    Stop,
}

/// How time runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    pub(super) speed: u32,
    pub(super) simulated: Duration,
    pub(super) keeping_up: bool,
}

/// A machine that runs in its own thread.
pub(super) struct Machine {
    orders: Sender<Order>,
    thread: JoinHandle<()>,
    ended: Option<oneshot::Receiver<Infallible>>,
}

impl Machine {
    /// Starts the thread. The pump has power already.
    pub(super) fn start(world: World, speed: u32) -> Result<Self> {
        let (orders, queue) = channel();
        let (alive, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("virtual pump".to_owned())
            .spawn(move || {
                // Dropped at the end, whatever end it is.
                let _alive = alive;
                Runner::new(world, speed).run(&queue);
            })
            .context("the virtual pump's thread cannot be started")?;
        Ok(Self {
            orders,
            thread,
            ended: Some(ended),
        })
    }

    /// Where to send orders.
    pub(super) fn orders(&self) -> Sender<Order> {
        self.orders.clone()
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
    phone: Option<Phone>,
    connections: u32,
}

struct Phone {
    connection: u32,
    mtu: Mtu,
    messages: mpsc::Sender<Vec<u8>>,
}

impl Runner {
    fn new(world: World, speed: u32) -> Self {
        Self {
            world,
            started: Instant::now(),
            pace: Pace::new(speed),
            lost_time_at: None,
            phone: None,
            connections: 0,
        }
    }

    fn run(mut self, queue: &Receiver<Order>) {
        loop {
            let real = self.catch_up();
            self.push();
            let wait = match self.world.next_event() {
                Some(next) => self.pace.wait(real, next).min(LONGEST_WAIT),
                None => LONGEST_WAIT,
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
            Order::Speed { speed, answer } => {
                let real = self.started.elapsed();
                if let Some(speed) = speed {
                    self.pace.change(real, speed);
                    self.lost_time_at = None;
                }
                // Whoever asked may have gone.
                let _ = answer.send(self.state(real));
            }
            Order::Stop => {}
        }
    }

    fn state(&self, real: RealTime) -> State {
        let recently = |lost: RealTime| real.saturating_sub(lost) < RECENTLY;
        State {
            speed: self.pace.speed(),
            simulated: self.world.now(),
            keeping_up: !self.lost_time_at.is_some_and(recently),
        }
    }

    fn connect(
        &mut self,
        mtu: Mtu,
        messages: mpsc::Sender<Vec<u8>>,
        answer: oneshot::Sender<Option<u32>>,
    ) {
        if self.phone.is_some() {
            let _ = answer.send(None);
            return;
        }
        self.connections = self.connections.wrapping_add(1);
        let connection = self.connections;
        if answer.send(Some(connection)).is_ok() {
            self.world.connect(mtu);
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
            Ok(attribute::Asked::Read(read)) => attribute::message(read, &self.value(read)),
            Err(error) => error.message(),
        };
        self.send(reply);
    }

    fn value(&mut self, attribute: Attribute) -> Vec<u8> {
        match attribute {
            Attribute::Info => self.world.info(),
            Attribute::Response => self.world.response(),
            Attribute::StatusChanged => self.world.status_changed().to_le_bytes().to_vec(),
            // Nobody may read it, and `attribute::read` does not let anybody.
            Attribute::Command => Vec::new(),
        }
    }

    /// Hands on what the pump says by itself.
    fn push(&mut self) {
        for pushed in self.world.take_pushed() {
            self.send(match pushed {
                Pushed::Response(fragment) => attribute::message(Attribute::Response, &fragment),
                Pushed::StatusChanged(flags) => {
                    attribute::message(Attribute::StatusChanged, &flags.to_le_bytes())
                }
            });
        }
    }

    fn send(&mut self, message: Vec<u8>) {
        let failed = self
            .phone
            .as_ref()
            .is_some_and(|phone| phone.messages.try_send(message).is_err());
        if failed {
            // Gone, or not reading: dropping the queue's end closes the socket.
            self.hang_up();
        }
    }
}

fn carrier_time(real: RealTime) -> CarrierTime {
    CarrierTime::from_micros(u64::try_from(real.as_micros()).unwrap_or(u64::MAX))
}
