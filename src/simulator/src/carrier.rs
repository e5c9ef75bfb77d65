//! What carries frames between this program and a pump: it moves attribute values and knows nothing of what is inside.
//!
//! [`Loopback`] reaches a virtual pump (`docs/virtual-pump.md`); with the feature `bluetooth`, `Bluetooth` reaches a pump over the air.

#[cfg(feature = "bluetooth")]
mod bluetooth;
mod loopback;

#[cfg(feature = "bluetooth")]
pub use bluetooth::Bluetooth;
pub use loopback::Loopback;

use anyhow::Result;
use protocol::Mtu;
use std::time::Duration;

/// A connection to one pump, fresh: nobody has used it before.
pub trait Carrier {
    /// What a frame may need.
    fn mtu(&self) -> Mtu;

    /// Reads Info.
    ///
    /// # Errors
    /// When the connection is gone or does not answer.
    fn info(&mut self) -> Result<Vec<u8>>;

    /// Writes a frame to Command.
    ///
    /// # Errors
    /// When the connection is gone.
    fn write(&mut self, frame: &[u8]) -> Result<()>;

    /// The next fragment of Response, indicated or read; none when there is nothing new for so long.
    ///
    /// # Errors
    /// When the connection is gone.
    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>>;

    /// Reads the emergency card; none while the pump does not show it, which it does only with presence.
    ///
    /// # Errors
    /// When the connection is gone or does not answer.
    fn card(&mut self) -> Result<Option<Vec<u8>>>;
}

impl<C: Carrier + ?Sized> Carrier for &mut C {
    fn mtu(&self) -> Mtu {
        (**self).mtu()
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        (**self).info()
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        (**self).write(frame)
    }

    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>> {
        (**self).response(patience)
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        (**self).card()
    }
}

impl<C: Carrier + ?Sized> Carrier for Box<C> {
    fn mtu(&self) -> Mtu {
        (**self).mtu()
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        (**self).info()
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        (**self).write(frame)
    }

    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>> {
        (**self).response(patience)
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        (**self).card()
    }
}
