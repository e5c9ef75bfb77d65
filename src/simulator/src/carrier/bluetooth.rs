//! A pump over the air: its GATT service, through BlueZ on Linux and what other systems have in its place.

use super::Carrier;
use anyhow::{Context, Result, bail, ensure};
use btleplug::api::{
    Central, Characteristic, Manager as _, Peripheral as _, ScanFilter, ValueNotification,
    WriteType,
};
use btleplug::platform::{Adapter, Manager, Peripheral};
use futures_util::{Stream, StreamExt};
use protocol::{Mtu, uuid};
use std::pin::Pin;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};
use uuid::{COMMAND, EMERGENCY_CARD, INFO, RESPONSE, SERVICE};

/// How long to look for the pump. It advertises every second or so.
const LOOKING: Duration = Duration::from_secs(15);
/// Between two looks at who has been heard.
const GLANCE: Duration = Duration::from_millis(500);
/// How long connecting and finding the service may take.
const CONNECTING: Duration = Duration::from_secs(20);
/// How long one read, write or subscription may take: longer than the supervision time-outs that hosts use.
const OPERATION: Duration = Duration::from_secs(10);
/// How long leaving may take.
const LEAVING: Duration = Duration::from_secs(3);

/// A connection over Bluetooth.
pub struct Bluetooth {
    runtime: Runtime,
    pump: Peripheral,
    mtu: Mtu,
    info: Characteristic,
    command: Characteristic,
    response: Characteristic,
    /// Absent on a pump that has none.
    card: Option<Characteristic>,
    /// Response has been subscribed to. Until there is something to say it is not: that needs a bond, and Info and the card do not.
    subscribed: bool,
    indications: Pin<Box<dyn Stream<Item = ValueNotification> + Send>>,
}

impl Bluetooth {
    /// Connects to the pump with this name or address.
    ///
    /// # Errors
    /// When this computer has no Bluetooth, no such pump is in range, or it does not let itself be connected to.
    pub fn connect(wanted: &str) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("Bluetooth cannot be started")?;
        let (pump, characteristics, card, indications) = runtime.block_on(async {
            let pump = find(&adapter().await?, wanted).await?;
            open(pump, wanted).await
        })?;
        let [info, command, response] = characteristics;
        Ok(Self {
            runtime,
            mtu: Mtu::clamped(pump.mtu()),
            pump,
            info,
            command,
            response,
            card,
            subscribed: false,
            indications,
        })
    }
}

/// The first adapter.
async fn adapter() -> Result<Adapter> {
    let manager = Manager::new()
        .await
        .context("this computer's Bluetooth does not answer; on Linux, BlueZ (bluetoothd) and the system D-Bus must run")?;
    let adapters = manager.adapters().await.context(
        "this computer's Bluetooth does not answer; on Linux, BlueZ (bluetoothd) must run",
    )?;
    adapters
        .into_iter()
        .next()
        .context("this computer has no Bluetooth adapter, or it is switched off")
}

/// Looks for exactly one pump that goes by this name or address.
async fn find(adapter: &Adapter, wanted: &str) -> Result<Peripheral> {
    let filter = ScanFilter {
        services: vec![identifier(SERVICE)],
    };
    adapter
        .start_scan(filter)
        .await
        .context("looking for pumps")?;
    let mut heard = Vec::new();
    let mut found = Vec::new();
    for _ in 0..LOOKING.as_millis() / GLANCE.as_millis() {
        sleep(GLANCE).await;
        (heard, found) = look(adapter, wanted).await?;
        if !found.is_empty() {
            break;
        }
    }
    // It ends with the connection too.
    let _ = adapter.stop_scan().await;
    ensure!(
        found.len() < 2,
        "{} pumps go by the name {wanted}; use an address: {}",
        found.len(),
        heard.join(", ")
    );
    match found.pop() {
        Some(pump) => Ok(pump),
        None if heard.is_empty() => bail!(
            "no pump was heard in {} s; it must be within a few metres, and not connected to another phone",
            LOOKING.as_secs()
        ),
        None => bail!("no pump {wanted} was heard, but: {}", heard.join(", ")),
    }
}

/// Every pump that has been heard, in words, and those that are wanted.
async fn look(adapter: &Adapter, wanted: &str) -> Result<(Vec<String>, Vec<Peripheral>)> {
    let mut heard = Vec::new();
    let mut found = Vec::new();
    for pump in adapter.peripherals().await.context("looking for pumps")? {
        let Some(properties) = pump.properties().await.unwrap_or_default() else {
            continue;
        };
        // The system may know other devices too.
        if !properties.services.contains(&identifier(SERVICE)) {
            continue;
        }
        let address = pump.address().to_string();
        let name = properties.local_name.unwrap_or_default();
        if name == wanted || address.eq_ignore_ascii_case(wanted) {
            found.push(pump);
        }
        heard.push(format!("{name} ({address})"));
    }
    Ok((heard, found))
}

/// What an open connection consists of.
type Open = (
    Peripheral,
    [Characteristic; 3],
    Option<Characteristic>,
    Pin<Box<dyn Stream<Item = ValueNotification> + Send>>,
);

/// A connection of our own: on a standing one another client's numbers would be going on.
async fn open(pump: Peripheral, wanted: &str) -> Result<Open> {
    if pump.is_connected().await.unwrap_or_default() {
        within(OPERATION, pump.disconnect())
            .await
            .with_context(|| format!("the standing connection to {wanted} cannot be closed"))?;
    }
    within(CONNECTING, pump.connect())
        .await
        .with_context(|| format!("{wanted} does not let itself be connected to"))?;
    within(CONNECTING, pump.discover_services())
        .await
        .with_context(|| format!("{wanted} does not show its services"))?;
    let known = pump.characteristics();
    let one = |number: u128, name: &str| {
        known
            .iter()
            .find(|known| known.uuid == identifier(number))
            .cloned()
            .with_context(|| format!("{wanted} is no pump of this kind: it has no {name}"))
    };
    let characteristics = [
        one(INFO, "Info")?,
        one(COMMAND, "Command")?,
        one(RESPONSE, "Response")?,
    ];
    let indications = pump
        .notifications()
        .await
        .with_context(|| format!("{wanted} cannot be listened to"))?;
    let card = one(EMERGENCY_CARD, "Emergency card").ok();
    Ok((pump, characteristics, card, indications))
}

fn identifier(number: u128) -> ::uuid::Uuid {
    ::uuid::Uuid::from_u128(number)
}

/// An operation that must end in time.
async fn within<T>(
    limit: Duration,
    operation: impl Future<Output = btleplug::Result<T>>,
) -> Result<T> {
    match timeout(limit, operation).await {
        Ok(done) => Ok(done?),
        Err(_) => bail!("no answer for {} s", limit.as_secs()),
    }
}

impl Carrier for Bluetooth {
    fn mtu(&self) -> Mtu {
        self.mtu
    }

    fn info(&mut self) -> Result<Vec<u8>> {
        self.runtime
            .block_on(within(OPERATION, self.pump.read(&self.info)))
            .context("the pump's Info cannot be read")
    }

    fn write(&mut self, frame: &[u8]) -> Result<()> {
        if !self.subscribed {
            self.runtime
                .block_on(within(OPERATION, self.pump.subscribe(&self.response)))
                .context(
                    "the pump does not let itself be spoken with; it may have to be paired first",
                )?;
            self.subscribed = true;
        }
        self.runtime
            .block_on(within(
                OPERATION,
                self.pump
                    .write(&self.command, frame, WriteType::WithResponse),
            ))
            .context("the connection to the pump was lost")
    }

    fn response(&mut self, patience: Duration) -> Result<Option<Vec<u8>>> {
        let response = self.response.uuid;
        let indications = &mut self.indications;
        let pump = &self.pump;
        let characteristic = &self.response;
        self.runtime.block_on(async {
            let indicated = timeout(patience, async {
                while let Some(notification) = indications.next().await {
                    if notification.uuid == response {
                        return Some(notification.value);
                    }
                }
                None
            });
            match indicated.await {
                Ok(Some(fragment)) => Ok(Some(fragment)),
                Ok(None) => bail!("the connection to the pump was lost"),
                // An indication may have been missed; a read says the same, and whether there still is a connection.
                Err(_) => within(OPERATION, pump.read(characteristic))
                    .await
                    .map(Some)
                    .context("the connection to the pump was lost"),
            }
        })
    }

    fn card(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(card) = &self.card else {
            return Ok(None);
        };
        match self
            .runtime
            .block_on(within(OPERATION, self.pump.read(card)))
        {
            Ok(value) => Ok(Some(value)),
            // The error of a read that is not permitted looks like any other here.
            Err(_)
                if self
                    .runtime
                    .block_on(self.pump.is_connected())
                    .unwrap_or_default() =>
            {
                Ok(None)
            }
            Err(error) => Err(error).context("the connection to the pump was lost"),
        }
    }
}

impl Drop for Bluetooth {
    /// Frees the pump's one link at once.
    fn drop(&mut self) {
        let _ = self
            .runtime
            .block_on(within(LEAVING, self.pump.disconnect()));
    }
}
