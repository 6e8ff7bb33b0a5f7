//! `hedgerow demo`: the real interface and real engines in one process, joined by links in memory. Nothing touches the disk or a network.
//!
//! ```text
//!            Thrush (a stranger, who carries)
//!              │
//!   Hazel ── you ── Robin ── Wren          Robin's link breaks and heals; Wren is reached only through him;
//!  (nearby)    (contact)   (contact)       Hazel is a person in the same room, not yet a contact
//! ```
//!
//! Each is a daemon of its own ([`Hosted`]); what the made-up people say is in `cast.rs`. The delays that hide who writes and who reads are
//! divided by [`DELAY_DIVISOR`], and the interface says so all the time.

mod cast;
mod memory;

use std::{io, os::unix::net::UnixStream, sync::Arc, thread, time::Duration};

use hedgerow_sync::{crypto::identity::Name, view::Command};
use serde_json::Value;

use self::{cast::Role, memory::MemoryKeeper};
use crate::{
    cli::error::CliError,
    client::Client,
    daemon::{
        clock::Clock,
        hosted::{Hosted, Wire},
    },
};

/// By how much the delays are divided: what takes a minute on average takes a second.
pub(crate) const DELAY_DIVISOR: u32 = 60;
/// What the interface says in its title all the time.
pub(crate) const BANNER: &str = "demo: people are made up, nothing is kept, delays are 60 times shorter";
/// When Robin first goes out of range.
const FIRST_WALK: Duration = Duration::from_secs(60);
/// Between two such walks.
const BETWEEN_WALKS: Duration = Duration::from_secs(90);
/// How long one takes.
const WALK: Duration = Duration::from_secs(15);
/// Between his last words and the link's end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The demo, running.
pub(crate) struct Demo {
    everybody: Everybody,
    _runtime: tokio::runtime::Runtime,
}

impl Demo {
    /// Starts everybody. The people meet each other in the background, within a second.
    ///
    /// # Errors
    ///
    /// An internal error if threads or sockets can't be had.
    pub(crate) fn start() -> Result<Self, CliError> {
        let failed = |error: io::Error| CliError::io("the demo can't be started", &error);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).thread_name("links").enable_all().build().map_err(failed)?;
        let clock = Clock::start();
        let host = |name: &str| -> io::Result<Arc<Hosted>> {
            let name = Name::new(name).map_err(io::Error::other)?;
            let keeper = MemoryKeeper::new(&name, DELAY_DIVISOR).map_err(io::Error::other)?;
            Ok(Arc::new(Hosted::start(runtime.handle(), clock, Arc::new(keeper))?))
        };
        let everybody = Everybody {
            you: host("you").map_err(failed)?,
            robin: host("Robin").map_err(failed)?,
            wren: host("Wren").map_err(failed)?,
            hazel: host("Hazel").map_err(failed)?,
            thrush: host("Thrush").map_err(failed)?,
        };
        let actors = everybody.clone();
        // The demo ends with the interface; what its people do then matters to nobody.
        thread::Builder::new().name("demo".to_owned()).spawn(move || drop(actors.play())).map_err(failed)?;
        Ok(Self { everybody, _runtime: runtime })
    }

    /// Opens a connection to the person's own daemon.
    ///
    /// # Errors
    ///
    /// An error of the system, if it gives no sockets.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        self.everybody.you.connect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let Everybody { you, robin, wren, hazel, thrush } = &self.everybody;
        [you, robin, wren, hazel, thrush].into_iter().for_each(|hosted| hosted.end());
    }
}

/// All daemons of the demo.
#[derive(Clone)]
struct Everybody {
    you: Arc<Hosted>,
    robin: Arc<Hosted>,
    wren: Arc<Hosted>,
    hazel: Arc<Hosted>,
    thrush: Arc<Hosted>,
}

impl Everybody {
    /// Lets everybody meet, talk, and Robin walk in and out of range.
    fn play(self) -> Result<(), CliError> {
        let to_robin = Wire::lay(&self.you, &self.robin);
        let to_wren = Wire::lay(&self.wren, &self.you);
        for (friend, role) in [(&self.robin, Role::Robin), (&self.wren, Role::Wren)] {
            let mut client = client(friend)?;
            client.subscribe()?;
            introduce(&mut client, &self.you)?;
            cast::act(client, role)?;
        }
        // Wren was here to become a contact, and leaves; from now on Robin meets her.
        to_wren.cut();
        let _robin_meets_wren = Wire::lay(&self.robin, &self.wren);
        let _in_reach = [Wire::lay(&self.you, &self.hazel), Wire::lay(&self.thrush, &self.you)];
        cast::act(client(&self.hazel)?, Role::Hazel)?;
        let mut robin = client(&self.robin)?;
        let mut pause = FIRST_WALK;
        loop {
            thread::sleep(pause - LAST_WORDS);
            cast::say(&mut robin, cast::LEAVING)?;
            thread::sleep(LAST_WORDS);
            to_robin.cut();
            thread::sleep(WALK);
            to_robin.mend();
            cast::say(&mut robin, cast::BACK)?;
            pause = BETWEEN_WALKS;
        }
    }
}

fn client(of: &Hosted) -> Result<Client, CliError> {
    let stream = of.connect().map_err(|error| CliError::io("the demo can't be started", &error))?;
    Ok(Client::over(stream))
}

/// Makes the person and somebody else contacts by a link, over the wire between them.
fn introduce(friend: &mut Client, you: &Hosted) -> Result<(), CliError> {
    let mut you = client(you)?;
    let link = you.request(&Command::Invite { hours: 24 })?["link"].as_str().unwrap_or_default().to_owned();
    friend.request(&Command::AddContact { link, alias: None, message: None })?;
    while let Some(event) = friend.next_event(Some(friend.after(10)))? {
        if event.get("event").and_then(Value::as_str) == Some("contact")
            && event.get("state").and_then(Value::as_str) == Some("established")
        {
            return Ok(());
        }
    }
    Err(CliError::internal("the people of the demo did not meet"))
}

#[cfg(test)]
mod tests {
    use hedgerow_sync::view::{Event, Message, MessageState};

    use super::*;

    /// Reads events until each of these has come, in whatever order: what goes by others may be overtaken.
    fn await_messages(client: &mut Client, wanted: &[&dyn Fn(&Message) -> bool]) {
        let mut missing = wanted.to_vec();
        while !missing.is_empty() {
            let event = client.next_event(Some(client.after(60))).unwrap().expect("an event in time");
            if let Ok(Event::Message(message)) = serde_json::from_value(event) {
                missing.retain(|fits| !fits(&message));
            }
        }
    }

    #[test]
    fn its_people_greet_answer_and_carry() {
        let demo = Demo::start().unwrap();
        let mut you = Client::over(demo.connect().unwrap());
        you.subscribe().unwrap();
        let says = |who: &'static str, text: &'static str| move |message: &Message| message.from == who && message.text == text;
        await_messages(&mut you, &[&says("Robin", cast::ROBIN.0), &says("Wren", cast::WREN.0)]);
        for (name, answer) in [("Robin", cast::ROBIN.1[0]), ("Wren", cast::WREN.1[0])] {
            let command = Command::Send { contact: name.into(), text: "Is anybody there?".into(), id: None, urgent: false };
            let id = you.request(&command).unwrap()["id"].clone();
            let is_delivered = |message: &Message| message.id.to_string() == id && message.state >= MessageState::Delivered;
            await_messages(&mut you, &[&is_delivered, &says(name, answer)]);
        }
        let status = you.request(&Command::Status {}).unwrap();
        let in_reach: Vec<&str> = status["neighbours"].as_array().unwrap().iter().filter_map(|n| n["name"].as_str()).collect();
        assert_eq!(in_reach, ["Robin"], "Wren is reached only through him");
    }
}
