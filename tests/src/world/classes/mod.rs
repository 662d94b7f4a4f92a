//! How each class behaves; a file for each kind of sender.
//!
//! A class is made from a [`Budget`]: senders come one by one until its part of all messages is reached and there are
//! enough of them. The two large providers are one sender each. Thieves and poisoners need somebody to steal from
//! and to lie about, so they come after the honest ones.

mod bots;
mod change;
mod farms;
mod honest;
mod mixed;
mod poison;
mod providers;
mod said;
mod shared;
mod spammers;

use super::class::Class;
use super::maker::{Budget, Maker};

/// Makes all senders of a class.
pub(super) fn make(maker: &mut Maker<'_>, class: Class, budget: Budget) {
    let one: fn(&mut Maker<'_>, Budget) = match class {
        Class::NamedProvider => return providers::named(maker, budget),
        Class::RegionProvider => return providers::regional(maker, budget),
        Class::Poisoner if maker.reporters.bad().is_empty() => return,
        Class::Single => honest::single,
        Class::DualStack => honest::dual_stack,
        Class::Hopper => honest::hopper,
        Class::Farm => farms::farm,
        Class::EspPool => farms::esp_pool,
        Class::Forwarder => mixed::forwarder,
        Class::NatOffice => honest::nat_office,
        Class::NatWithBots => mixed::nat_with_bots,
        Class::Bot => bots::bot,
        Class::FixedString => bots::fixed_string,
        Class::VictimName => bots::victim_name,
        Class::NameThief => bots::name_thief,
        Class::Snowshoe => spammers::snowshoe,
        Class::RandomName => spammers::random_name,
        Class::VmChurn => change::vm_churn,
        Class::Renumbered => change::renumbered,
        Class::Renamed => change::renamed,
        Class::SharedNetwork => shared::shared_network,
        Class::Misconfigured => honest::misconfigured,
        Class::Compromised => mixed::compromised,
        Class::TwoNames => honest::two_names,
        Class::Poisoner => poison::poisoner,
    };
    let (begin, mut rounds) = (maker.drafts.len(), 0);
    while maker.drafts.len() - begin < budget.messages || rounds < maker.settings.least {
        one(maker, budget);
        rounds += 1;
    }
}
