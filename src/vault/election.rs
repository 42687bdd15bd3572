//! Which node of a cluster is used, given what the nodes report of their health.
//!
//! Nothing is sent from here, so that each rule can be tried without a cluster.

use std::time::Duration;

use tokio::time::Instant;

/// How often it is checked, as requests come, that the node in use is still the active one.
const ACTIVE_CHECKED_EVERY: Duration = Duration::from_secs(5);

/// How often an active node is looked for, as requests come, while a standby is in use.
const STANDBY_CHECKED_EVERY: Duration = Duration::from_secs(1);

/// How long the nodes may take to report.
pub const HEALTH_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a read may take until its node has to report its health, and how often from then on.
pub const SLOW_AFTER: Duration = Duration::from_secs(1);

/// How much longer an active node is waited for once a standby has reported: while a request waits
/// that has failed, and before the first request.
const GRACE_AFTER_FAILURE: Duration = Duration::from_millis(250);
const GRACE_AT_FIRST: Duration = Duration::from_secs(1);

/// What a node is in its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has every write, and answers from its own storage.
    Active,
    /// It may answer reads itself, but late.
    Standby,
    /// No node reported either, and one has to be asked.
    Unknown,
}

/// What a node says of its health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It answers requests, in this role.
    Serving(Role),
    /// It is Vault, and says that it answers none: it is sealed, not initialized, or the like.
    NotServing,
    /// There was no answer.
    Silent,
    /// The answer was not Vault's. A proxy may hide Vault's health, or something else is there.
    Foreign,
}

/// Why nodes are asked for their health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// None is in use yet.
    First,
    /// A request to this one failed.
    Failed(usize),
    /// This one took a request and did not answer it in time.
    TimedOut(usize),
    /// A request to this one takes long.
    Slow(usize),
    /// It is time to look whether there is a better one.
    Routine,
}

/// The node in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChosenNode {
    /// Which of the cluster's addresses it has.
    pub index: usize,
    /// What it reported when it was elected.
    pub role: Role,
    /// When it was elected, or named as the leader by another node. A request that set out before
    /// to have a node elected takes this one.
    pub elected: Instant,
    /// When it was elected, or when a request last started an election in the background because
    /// that was long ago. The requests until the next one is due start none.
    pub checked: Instant,
    /// When it was elected although a request to it had just failed, because there was no other.
    /// Requests to it that had failed by then have had their election; a later failure starts
    /// another.
    pub despite_failure: Option<Instant>,
}

/// What the nodes have reported since they were asked.
pub struct Reports {
    /// When they were asked.
    pub asked: Instant,
    /// How many were asked.
    pub nodes: usize,
    /// What has come in, in that order.
    pub heard: Vec<Report>,
}

/// What one node reported.
#[derive(Clone, Copy)]
pub struct Report {
    /// Which of the cluster's addresses it has.
    pub index: usize,
    /// What it says of its health.
    pub health: Health,
    /// When that came in.
    pub at: Instant,
}

/// What follows from the reports so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Election {
    /// This node is to be used.
    Elected(ChosenNode),
    /// A report that comes in until then may change the result.
    Open {
        /// When the reports so far decide.
        until: Instant,
    },
}

impl ChosenNode {
    /// A node that was just elected.
    pub fn new(index: usize, role: Role, now: Instant) -> Self {
        Self { index, role, elected: now, checked: now, despite_failure: None }
    }

    /// Whether it is to be checked that this is still the best node. Says so once: whoever hears it
    /// starts an election.
    pub fn is_to_be_checked(&mut self, now: Instant) -> bool {
        let good_for = match self.role {
            Role::Active => ACTIVE_CHECKED_EVERY,
            Role::Standby | Role::Unknown => STANDBY_CHECKED_EVERY,
        };
        let is_due = now.duration_since(self.checked) > good_for;
        if is_due {
            self.checked = now;
        }
        is_due
    }

    /// Whether this node is the answer to one who wanted an election at the time `wanted` and for
    /// this reason, because another one's election has ended since.
    pub fn is_answer_to(&self, reason: Reason, wanted: Instant, now: Instant) -> bool {
        match reason {
            Reason::First => true,
            Reason::Failed(index) | Reason::TimedOut(index) => {
                self.index != index || self.despite_failure.is_some_and(|at| at > wanted)
            }
            Reason::Slow(index) => {
                self.index != index || now.duration_since(self.elected) < SLOW_AFTER
            }
            Reason::Routine => self.elected > wanted,
        }
    }
}

impl Reports {
    fn has_all(&self) -> bool {
        self.heard.len() >= self.nodes
    }

    /// The first node to report this role, but for one that has just failed.
    fn first(&self, role: Role, failed: Option<usize>) -> Option<Report> {
        let mut heard = self.heard.iter().copied();
        heard.find(|report| report.health == Health::Serving(role) && Some(report.index) != failed)
    }

    fn role_of(&self, index: usize) -> Option<Role> {
        match self.heard.iter().find(|report| report.index == index)?.health {
            Health::Serving(role) => Some(role),
            _ => None,
        }
    }

    /// Whether a token may be sent there: not to what gave no answer of Vault's, while another node
    /// did.
    fn may_be_asked(&self, index: usize) -> bool {
        let is_vaults =
            |report: &Report| matches!(report.health, Health::Serving(_) | Health::NotServing);
        let is_foreign =
            |report: &Report| report.index == index && report.health == Health::Foreign;
        !self.heard.iter().any(is_foreign) || !self.heard.iter().any(is_vaults)
    }

    /// The first address from this one on that may be asked, after the last one the first again.
    fn next_from(&self, start: usize) -> usize {
        let nodes = self.nodes.max(1);
        let mut in_turn = (start..start + nodes).map(|index| index % nodes);
        in_turn.find(|index| self.may_be_asked(*index)).unwrap_or(start % nodes)
    }
}

/// Elects the active node as soon as it reports. If none does in time, a standby is elected, at
/// best the one in use. A node that has just failed is elected only if no other one serves; but one
/// that timed out and reports to be active stays, as a standby's word is not as good. If none
/// serves, the next address takes the place of one that has failed, and otherwise nothing changes.
/// What gives no answer of Vault's is elected only if no node does.
pub fn elect(
    reports: &Reports,
    reason: Reason,
    previous: Option<ChosenNode>,
    now: Instant,
) -> Election {
    let failed = match reason {
        Reason::Failed(index) | Reason::TimedOut(index) => Some(index),
        Reason::First | Reason::Slow(_) | Reason::Routine => None,
    };
    let unfit = failed.filter(|_| !matches!(reason, Reason::TimedOut(_)));
    let (index, role) = if let Some(active) = reports.first(Role::Active, unfit) {
        (active.index, Role::Active)
    } else {
        let standby = reports.first(Role::Standby, failed);
        let grace = match reason {
            Reason::First => GRACE_AT_FIRST,
            Reason::Failed(_) | Reason::TimedOut(_) => GRACE_AFTER_FAILURE,
            Reason::Slow(_) | Reason::Routine => HEALTH_TIMEOUT,
        };
        let until = reports.asked + HEALTH_TIMEOUT;
        let until = standby.map_or(until, |standby| until.min(standby.at + grace));
        if now < until && !reports.has_all() {
            return Election::Open { until };
        }
        let in_use = previous.map(|previous| previous.index).filter(|index| {
            Some(*index) != failed && reports.role_of(*index) == Some(Role::Standby)
        });
        match (in_use.or(standby.map(|standby| standby.index)), failed, previous) {
            (Some(standby), ..) => (standby, Role::Standby),
            (None, Some(failed), _) => match reports.role_of(failed) {
                Some(role) => (failed, role),
                // The next failure is another node's.
                None => (reports.next_from(failed + 1), Role::Unknown),
            },
            (None, None, Some(previous)) if reports.may_be_asked(previous.index) => {
                (previous.index, previous.role)
            }
            (None, None, _) => (reports.next_from(0), Role::Unknown),
        }
    };
    let despite_failure = match (failed, previous) {
        (Some(failed), _) => (index == failed).then_some(now),
        (None, Some(previous)) if previous.index == index => previous.despite_failure,
        (None, _) => None,
    };
    Election::Elected(ChosenNode { despite_failure, ..ChosenNode::new(index, role, now) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACTIVE: Health = Health::Serving(Role::Active);
    const STANDBY: Health = Health::Serving(Role::Standby);

    /// Three nodes report so, a second after each other; what follows at the time of the last
    /// report.
    fn after(heard: &[(usize, Health)], reason: Reason, in_use: Option<usize>) -> Election {
        let asked = Instant::now();
        let at = |place: usize| asked + Duration::from_millis(100) * u32::try_from(place).unwrap();
        let reports = heard.iter().enumerate().map(|(place, (index, health))| Report {
            index: *index,
            health: *health,
            at: at(place),
        });
        let reports = Reports { asked, nodes: 3, heard: reports.collect() };
        let previous = in_use.map(|index| ChosenNode::new(index, Role::Active, asked));
        elect(&reports, reason, previous, at(heard.len().saturating_sub(1)))
    }

    fn elected(heard: &[(usize, Health)], reason: Reason, in_use: Option<usize>) -> (usize, Role) {
        match after(heard, reason, in_use) {
            Election::Elected(node) => (node.index, node.role),
            Election::Open { .. } => panic!("the election is open"),
        }
    }

    #[test]
    fn the_active_node_is_elected_as_soon_as_it_reports() {
        for reason in [Reason::First, Reason::Failed(0), Reason::Slow(0), Reason::Routine] {
            let heard = [(1, STANDBY), (2, ACTIVE)];
            assert_eq!(elected(&heard, reason, Some(0)), (2, Role::Active));
        }
    }

    #[test]
    fn a_standby_is_elected_if_none_is_active() {
        let heard = [(0, Health::NotServing), (2, STANDBY), (1, STANDBY)];
        assert_eq!(elected(&heard, Reason::First, None), (2, Role::Standby));
        // At best the one in use.
        assert_eq!(elected(&heard, Reason::Routine, Some(1)), (1, Role::Standby));
        assert_eq!(elected(&heard, Reason::Failed(0), Some(0)), (2, Role::Standby));
        assert_eq!(elected(&heard, Reason::Failed(2), Some(2)), (1, Role::Standby));
    }

    #[test]
    fn a_node_that_has_just_failed_is_elected_only_if_no_other_serves() {
        let heard = [(0, ACTIVE), (1, STANDBY), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::Failed(0), Some(0)), (1, Role::Standby));
        let heard = [(0, ACTIVE), (1, Health::Silent), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::Failed(0), Some(0)), (0, Role::Active));
    }

    #[test]
    fn an_active_node_that_timed_out_stays() {
        let heard = [(1, STANDBY), (0, ACTIVE), (2, STANDBY)];
        assert_eq!(elected(&heard, Reason::TimedOut(0), Some(0)), (0, Role::Active));
        let heard = [(0, Health::Silent), (1, STANDBY), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::TimedOut(0), Some(0)), (1, Role::Standby));
        let heard = [(0, STANDBY), (1, STANDBY), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::TimedOut(0), Some(0)), (1, Role::Standby));
    }

    #[test]
    fn if_none_serves_the_next_address_takes_the_place_of_one_that_failed() {
        let heard = [(0, Health::NotServing), (1, Health::Silent), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::Failed(1), Some(1)), (2, Role::Unknown));
        assert_eq!(elected(&heard, Reason::Failed(2), Some(2)), (0, Role::Unknown));
        // And if nothing has failed, the one in use keeps it.
        assert_eq!(elected(&heard, Reason::Slow(1), Some(1)), (1, Role::Active));
        assert_eq!(elected(&heard, Reason::Routine, Some(1)), (1, Role::Active));
        assert_eq!(elected(&heard, Reason::First, None), (0, Role::Unknown));
    }

    #[test]
    fn what_is_not_vaults_is_elected_only_if_no_node_is() {
        const FOREIGN: Health = Health::Foreign;
        let sealed = Health::NotServing;
        // A sealed node is asked before a web server, whichever was asked before.
        let heard = [(0, FOREIGN), (1, sealed), (2, FOREIGN)];
        assert_eq!(elected(&heard, Reason::First, None), (1, Role::Unknown));
        assert_eq!(elected(&heard, Reason::Routine, Some(0)), (1, Role::Unknown));
        assert_eq!(elected(&heard, Reason::Failed(0), Some(0)), (1, Role::Unknown));
        assert_eq!(elected(&heard, Reason::Failed(1), Some(1)), (1, Role::Unknown));
        // Behind proxies that hide the health of all nodes.
        let heard = [(0, FOREIGN), (1, FOREIGN), (2, Health::Silent)];
        assert_eq!(elected(&heard, Reason::First, None), (0, Role::Unknown));
        assert_eq!(elected(&heard, Reason::Failed(0), Some(0)), (1, Role::Unknown));
    }

    #[test]
    fn once_a_standby_has_reported_the_active_node_has_a_grace() {
        let asked = Instant::now();
        for (reason, heard, milliseconds) in [
            (Reason::First, vec![], 2000),
            (Reason::First, vec![(1, Health::Silent)], 2000),
            (Reason::First, vec![(1, STANDBY)], 1000),
            (Reason::Failed(0), vec![(1, STANDBY), (2, STANDBY)], 250),
            // The failed node says it serves, which does not end the wait.
            (Reason::Failed(0), vec![(0, ACTIVE)], 2000),
            (Reason::Slow(0), vec![(1, STANDBY)], 2000),
            (Reason::Routine, vec![(1, STANDBY)], 2000),
        ] {
            let heard =
                heard.into_iter().map(|(index, health)| Report { index, health, at: asked });
            let reports = Reports { asked, nodes: 3, heard: heard.collect() };
            let until = asked + Duration::from_millis(milliseconds);
            assert_eq!(elect(&reports, reason, None, asked), Election::Open { until });
            let then = elect(&reports, reason, None, until);
            assert!(matches!(then, Election::Elected(_)), "{reason:?}");
        }
    }

    #[test]
    fn a_node_elected_despite_its_failure_answers_for_failures_before_that() {
        let heard = [(0, ACTIVE), (1, Health::Silent), (2, Health::Silent)];
        let Election::Elected(node) = after(&heard, Reason::Failed(0), Some(0)) else { panic!() };
        let at = node.despite_failure.unwrap();
        let (before, later) = (at - Duration::from_millis(1), at + Duration::from_millis(1));
        assert!(node.is_answer_to(Reason::Failed(0), before, later));
        assert!(!node.is_answer_to(Reason::Failed(0), later, later));
        assert!(node.is_answer_to(Reason::Failed(1), later, later));
        // A check in between does not take that away.
        let reports = Reports {
            asked: later,
            nodes: 1,
            heard: vec![Report { index: 0, health: ACTIVE, at: later }],
        };
        let checked = elect(&reports, Reason::Routine, Some(node), later);
        let Election::Elected(checked) = checked else { panic!() };
        assert_eq!((checked.despite_failure, checked.elected), (Some(at), later));
    }

    #[test]
    fn one_request_at_a_time_checks_what_was_elected_a_while_ago() {
        let now = Instant::now();
        for (role, seconds) in [(Role::Active, 5), (Role::Standby, 1), (Role::Unknown, 1)] {
            let mut node = ChosenNode::new(0, role, now);
            let due = now + Duration::from_secs(seconds);
            assert!(!node.is_to_be_checked(due));
            let due = due + Duration::from_millis(1);
            assert!(node.is_to_be_checked(due));
            assert!(!node.is_to_be_checked(due));
            assert_eq!(node.elected, now);
        }
    }
}
