//! The sections `[evidence.<system>]`: which systems are asked, how, and what each may add to a verdict.
//!
//! Every system has `enabled`, `pass` and `fail`; those by which a publisher of a name can deny it have
//! `denies`; the rest is their own. The defaults are those of `helostat_zones`, which a test compares.

use helostat_zones::evidence::System;
use helostat_zones::weights::Weight;

use super::domain::DomainName;
use super::section::Preset::Is;
use super::section::{Key, Section, section};
use super::value::Rule::{Between, Free, Points};

/// Declares the sections of all systems, and what is the same in each.
macro_rules! systems {
    ($($field:ident: $type:ident = $system:ident, $denies:tt;)+) => {
        /// `[evidence.<system>]`: each system that can testify.
        #[derive(Clone, Debug, PartialEq)]
        pub struct Evidence {
            $(#[doc = concat!("Of `System::", stringify!($system), "`.")] pub $field: $type,)+
        }

        impl Evidence {
            /// Every key at its default.
            pub(super) fn initial() -> Self {
                Self { $($field: $type::initial(),)+ }
            }

            /// Every section, in the order of the manual.
            pub(super) fn sections(&mut self) -> Vec<&mut dyn Section> {
                vec![$(&mut self.$field,)+]
            }

            /// The keys of every section.
            pub(super) const KEYS: &'static [&'static [Key]] = &[$($type::KEYS,)+];

            /// Whether a system is on, and what it may add.
            pub fn of(&self, system: System) -> (bool, Weight) {
                match system {
                    $(System::$system => {
                        let section = &self.$field;
                        let denies = systems!(@denies section $denies);
                        (section.enabled, Weight { pass: section.pass, fail: section.fail, denies })
                    })+
                }
            }
        }
    };
    (@denies $section:ident yes) => { $section.denies };
    (@denies $section:ident no) => { false };
}

systems! {
    csa: Csa = Csa, yes;
    dna: Dna = Dna, no;
    rmx: Rmx = Rmx, yes;
    dmp: Dmp = Dmp, yes;
    mtamark: Mtamark = Mtamark, no;
    reverse_mx: ReverseMx = ReverseMx, no;
    apl: Apl = Apl, yes;
    spf: Spf = Spf, yes;
    unified_spf: UnifiedSpf = UnifiedSpf, no;
    mx: Mx = Mx, no;
    iprev: Iprev = Iprev, no;
    forward: Forward = Forward, no;
    literal: Literal = Literal, no;
    syntax: Syntax = Syntax, no;
    generic: Generic = Generic, no;
    drip: Drip = Drip, yes;
    name_path: NamePath = NamePath, no;
}

/// The keys that every section has, and its own.
macro_rules! system {
    (
        $(#[$doc:meta])*
        $name:ident in $section:literal, $ask:literal, pass $pass:literal, fail $fail:literal $(, denies $denies:literal)?;
        $($key:literal $field:ident: $type:ty = $default:expr, $rule:expr, $meaning:literal;)*
    ) => {
        section! {
            $(#[$doc])*
            $name in $section {
                "enabled" enabled: bool = Is("true"), Free, Restart,
                    $ask;
                "pass" pass: i32 = Is($pass), Points, Restart,
                    "Points that a pass adds to the score of a client that has one.";
                "fail" fail: i32 = Is($fail), Points, Restart,
                    "Points that a fail adds; below zero, it takes them away.";
                $("denies" denies: bool = Is($denies), Free, Restart,
                    "Whether an explicit denial by the publisher of the name lists a client without standing.";)?
                $($key $field: $type = $default, $rule, Restart, $meaning;)*
            }
        }
    };
}

system! {
    /// `[evidence.csa]`: Client SMTP Authorization.
    Csa in "evidence.csa", "Ask whether the name's publisher authorises the client (CSA, an SRV record).",
        pass "10", fail "-20", denies "true";
    "parents" parents: u32 = Is("5"), Between(0, 5),
        "Domains above the name that are asked whether they speak for it, at most.";
    "use-reverse" use_reverse: bool = Is("false"), Free,
        "Ask at the reverse name of a client that says an address, as Exim can.";
}
system! {
    /// `[evidence.dna]`: CSV-DNA.
    Dna in "evidence.dna", "Ask the services that the name points to, and that you trust, what they say of it (CSV-DNA).",
        pass "10", fail "-20";
    "services" services: Vec<DomainName> = Is("[]"), Free,
        "The services whose word counts for you; none, and nobody is asked.";
}
system! {
    /// `[evidence.rmx]`: RMX.
    Rmx in "evidence.rmx", "Ask whether the name's RMX record authorises the client.",
        pass "5", fail "-10", denies "true";
    "private-type" private_type: u32 = Is("0"), Between(0, 65_534),
        "Ask for RMX records of this private type (65280 to 65534) where there is no TXT; 0 is none.";
    "split" split: bool = Is("false"), Free,
        "Ask for the records of one address family (_ipv4._rmx, _ipv6._rmx) where there are no others.";
}
system! {
    /// `[evidence.dmp]`: the Designated Mailers Protocol.
    Dmp in "evidence.dmp", "Ask whether the name designates the client as its mailer (DMP).",
        pass "5", fail "-10", denies "true";
}
system! {
    /// `[evidence.mtamark]`: MTAMARK.
    Mtamark in "evidence.mtamark", "Ask whether the address's owner marks it as a mail server (MTAMARK).",
        pass "3", fail "-10";
    "perm" perm: bool = Is("false"), Free,
        "Read the label of the first draft (_perm) at the host where there is no other.";
    "contact" contact: bool = Is("false"), Free,
        "Ask whom to write to where the mark says no, to be shown by explain.";
}
system! {
    /// `[evidence.reverse-mx]`: Reverse MX.
    ReverseMx in "evidence.reverse-mx", "Ask whether the network lists the address among its mail servers (Reverse MX).",
        pass "3", fail "-5";
    "strict" strict: bool = Is("false"), Free,
        "A network without a list is a fail.";
    "slash8" slash8: bool = Is("false"), Free,
        "Ask at the /8 of an IPv4 address too.";
}
system! {
    /// `[evidence.apl]`: APL at `_smtp`.
    Apl in "evidence.apl", "Ask whether the client is in the address list of the name's domain (APL at _smtp).",
        pass "5", fail "-10", denies "true";
    "chain" chain: bool = Is("true"), Free,
        "Read the rest of a long list at _0._smtp to _9._smtp.";
}
system! {
    /// `[evidence.spf]`: SPF for HELO.
    Spf in "evidence.spf", "Ask whether SPF of the name said in EHLO authorises the client (RFC 7208).",
        pass "8", fail "-15", denies "true";
}
system! {
    /// `[evidence.unified-spf]`: SPF of the reverse name.
    UnifiedSpf in "evidence.unified-spf", "Ask the same of the client's own reverse name.",
        pass "2", fail "-5";
}
system! {
    /// `[evidence.mx]`: MX covers sender.
    Mx in "evidence.mx", "Ask whether the client is a mail exchanger of the name's domain.",
        pass "5", fail "0";
}
system! {
    /// `[evidence.iprev]`: forward-confirmed reverse DNS.
    Iprev in "evidence.iprev", "Ask whether the client's reverse name leads back to the client.",
        pass "5", fail "-5";
}
system! {
    /// `[evidence.forward]`: the addresses of the name.
    Forward in "evidence.forward", "Ask whether the name said in EHLO has the client's address.",
        pass "5", fail "0";
}
system! {
    /// `[evidence.literal]`: address literals.
    Literal in "evidence.literal", "Look whether an address said in EHLO is the client's own.",
        pass "0", fail "-10";
}
system! {
    /// `[evidence.syntax]`: the syntax of what is said.
    Syntax in "evidence.syntax", "Look whether what is said in EHLO has the form of a host's name.",
        pass "0", fail "-5";
}
system! {
    /// `[evidence.generic]`: reverse names made by machines.
    Generic in "evidence.generic", "Look whether the client's reverse name was made by a machine for a whole range.",
        pass "0", fail "-10";
}
system! {
    /// `[evidence.drip]`: DRIP.
    Drip in "evidence.drip", "Ask whether the name designates the client as its relay (DRIP).",
        pass "5", fail "-10", denies "true";
    "parents" parents: u32 = Is("0"), Between(0, 5),
        "Domains above the name that are asked where the name says nothing, at most.";
}
system! {
    /// `[evidence.name-path]`: SMTP Name Path.
    NamePath in "evidence.name-path", "Ask whether the domain lists the name among its senders (SMTP Name Path).",
        pass "2", fail "-5";
}
