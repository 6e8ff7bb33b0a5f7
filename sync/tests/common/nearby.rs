//! What tests of people in one room share: what a person asks, and a puppet that can do an exchange by itself.

use hedgerow_sync::{
    crypto::{
        exchange::nearby::{Agreed, Asked, Committed, Offer},
        identity::{Device, Name},
    },
    sim::{Faults, NodeId, Sim},
    view::{Answer, Command, CommandError, Contact, ContactState, Nearby, NearbyPeer, NearbyState},
    wire::{
        bundle::Bundle,
        nearby::{End, NEARBY_VERSION, Step},
        record::Record,
    },
};
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;

use super::{SECOND, contacts, three::Eve};

pub(crate) fn open(sim: &mut Sim, node: NodeId) -> Nearby {
    nearby_answer(sim.tell(node, Command::NearbyOpen {}))
}

pub(crate) fn close(sim: &mut Sim, node: NodeId) -> Nearby {
    nearby_answer(sim.tell(node, Command::NearbyClose {}))
}

pub(crate) fn list(sim: &mut Sim, node: NodeId) -> Nearby {
    nearby_answer(sim.tell(node, Command::Nearby {}))
}

fn nearby_answer(answer: Answer) -> Nearby {
    match answer {
        Answer::Nearby(nearby) => nearby,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn choose(sim: &mut Sim, node: NodeId, peer: &str) -> Result<NearbyPeer, CommandError> {
    peer_answer(sim.ask(node, Command::NearbyAdd { peer: peer.into() }).expect("the node restarted"))
}

pub(crate) fn confirm(sim: &mut Sim, node: NodeId, peer: &str, matches: bool) -> Result<NearbyPeer, CommandError> {
    peer_answer(sim.ask(node, Command::NearbyConfirm { peer: peer.into(), matches }).expect("the node restarted"))
}

fn peer_answer(answer: Result<Answer, CommandError>) -> Result<NearbyPeer, CommandError> {
    answer.map(|answer| match answer {
        Answer::NearbyPeer(peer) => peer,
        other => panic!("{other:?}"),
    })
}

/// The one peer that a node shows.
pub(crate) fn only(sim: &mut Sim, node: NodeId) -> NearbyPeer {
    let peers = list(sim, node).peers;
    assert_eq!(peers.len(), 1, "{peers:?}");
    peers[0].clone()
}

pub(crate) fn state(sim: &mut Sim, node: NodeId) -> NearbyState {
    only(sim, node).state
}

/// The one contact of a node, if it has one.
pub(crate) fn only_contact(sim: &mut Sim, node: NodeId) -> Option<Contact> {
    let mut contacts = contacts(sim, node);
    assert!(contacts.len() <= 1, "{contacts:?}");
    contacts.pop()
}

/// Whether a node's only contact is one that both have found right.
pub(crate) fn is_settled(sim: &mut Sim, node: NodeId) -> bool {
    only_contact(sim, node).is_some_and(|contact| contact.state == ContactState::Established && contact.verified)
}

/// A puppet that takes part: Eve, with a device of her own.
pub(crate) struct Guest {
    pub(crate) eve: Eve,
    pub(crate) device: Device,
    pub(crate) name: Name,
    pub(crate) rng: ChaCha20Rng,
    hash: [u8; 32],
}

impl Guest {
    /// She dials the node, and so is the first side.
    pub(crate) fn first(sim: &mut Sim, node: NodeId) -> Self {
        let eve = Eve::dial(sim, node);
        Self::over(sim, eve)
    }

    /// As [`first`](Self::first), where the node may have no place for her.
    pub(crate) fn try_first(sim: &mut Sim, node: NodeId) -> Option<Self> {
        let stranger = sim.stranger("eve");
        let wire = sim.connect(stranger, node, Faults::NONE);
        sim.keep_down(wire);
        sim.run_for(SECOND / 10);
        sim.is_up(wire).then(|| {
            let eve = Eve::over(sim, stranger, wire);
            Self::over(sim, eve)
        })
    }

    /// The node dials her: she is the second side.
    pub(crate) fn second(sim: &mut Sim, node: NodeId) -> Self {
        let eve = Eve::dialled(sim, node);
        Self::over(sim, eve)
    }

    pub(crate) fn over(sim: &mut Sim, eve: Eve) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(77);
        let hash = sim.session_hash(eve.wire, eve.node).expect("the session is open");
        Self { device: Device::generate(&mut rng), name: Name::new("eve").unwrap(), rng, hash, eve }
    }

    /// Says one step and lets it arrive.
    pub(crate) fn say(&self, sim: &mut Sim, step: Step) {
        self.eve.say(sim, &Record::Nearby(step));
        sim.run_for(SECOND / 10);
    }

    /// The steps that she was sent since she last looked, those on their way included.
    pub(crate) fn hear(&self, sim: &mut Sim) -> Vec<Step> {
        sim.run_for(SECOND / 10);
        let step = |record| if let Record::Nearby(step) = record { Some(step) } else { None };
        self.eve.hear(sim).into_iter().filter_map(step).collect()
    }

    pub(crate) fn here(&self, sim: &mut Sim) {
        self.say(sim, Step::Here { version: NEARBY_VERSION, name: self.name.clone() });
    }

    pub(crate) fn is_there(&self, sim: &Sim) -> bool {
        self.eve.is_there(sim)
    }

    /// Both windows are open and both have chosen; what she heard last.
    pub(crate) fn both_choose(&self, sim: &mut Sim, node: NodeId) -> Vec<Step> {
        open(sim, node);
        self.here(sim);
        choose(sim, node, self.name.as_str()).unwrap();
        self.hear(sim);
        self.say(sim, Step::Choose);
        self.hear(sim)
    }

    /// As the first side: the commitment that she would send.
    pub(crate) fn commit(&mut self) -> (Committed, Step) {
        let committed = Committed::new(&self.device, self.name.clone(), &self.hash, &mut self.rng);
        let Offer { secret, key, commitment } = committed.offer();
        (committed, Step::Commit { secret, key, commitment })
    }

    /// As the first side: what opens the commitment, and what she then holds.
    pub(crate) fn open(&mut self, committed: Committed, heard: &[Step]) -> (Step, Agreed) {
        let [Step::Request(request)] = heard else { panic!("{heard:?}") };
        let request = committed.open_request(&self.device, &Bundle::decode(request.to_vec()).unwrap()).unwrap();
        let (nonce, reply, agreed) = committed.open(&self.device, &request, [0; 16], &mut self.rng).unwrap();
        (Step::Open { nonce, reply: boxed(&reply) }, agreed)
    }

    /// As the second side: the request that she would send.
    pub(crate) fn ask(&mut self, heard: &[Step]) -> (Asked, Step) {
        let [Step::Commit { secret, key, commitment }] = *heard else { panic!("{heard:?}") };
        let offer = Offer { secret, key, commitment };
        let (asked, request) = Asked::new(&self.device, self.name.clone(), &self.hash, offer, &mut self.rng).unwrap();
        (asked, Step::Request(boxed(&request)))
    }

    /// As the second side: what she holds once the commitment is open.
    pub(crate) fn opened(&self, asked: Asked, heard: &[Step]) -> Agreed {
        let [Step::Open { nonce, reply }] = heard else { panic!("{heard:?}") };
        asked.open(&self.device, *nonce, &Bundle::decode(reply.to_vec()).unwrap()).unwrap()
    }

    /// An exchange as the first side, up to the words, which the node shows.
    pub(crate) fn compare(&mut self, sim: &mut Sim, node: NodeId) -> Agreed {
        self.both_choose(sim, node);
        let (committed, step) = self.commit();
        self.say(sim, step);
        let heard = self.hear(sim);
        let (step, agreed) = self.open(committed, &heard);
        self.say(sim, step);
        let heard = self.hear(sim);
        let [Step::Prove { held, proof }] = &heard[..] else { panic!("{heard:?}") };
        assert!(agreed.is_proof(held, proof));
        agreed
    }
}

pub(crate) fn boxed(bundle: &Bundle) -> Box<[u8; 4096]> {
    bundle.bytes().to_vec().into_boxed_slice().try_into().expect("the largest size")
}

/// Whether one of these steps ends the exchange.
pub(crate) fn ends(heard: &[Step]) -> Option<End> {
    heard.iter().find_map(|step| if let Step::End(end) = step { Some(*end) } else { None })
}
