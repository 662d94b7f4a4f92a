//! Where no bound is hit, order, grouping and the way by the wire do not matter, and every index agrees
//! with the dump.

use helostat_zones::ledger::{Bounds, Ledger};
use proptest::prelude::*;

use crate::assert_same;
use crate::model::assert_indexes;
use crate::world::{Random, batch_of, carried, config, dump, learned, observation};

proptest! {
    #![proptest_config(config(96))]

    #[test]
    fn order_and_grouping_do_not_matter(
        observations in prop::collection::vec(observation(120), 1..120),
        chance in any::<u64>(),
        most in 1usize..30,
        // Crowds are no bound on what is known: that they are there must depend on the mail alone.
        clients_per_name in prop::sample::select(vec![3usize, 256]),
    ) {
        let bounds = Bounds { clients_per_name, ..Bounds::default() };
        let expected = learned(bounds, &[&observations]);
        assert_indexes(&expected, "at once");
        let mut random = Random(chance);
        let mut other = observations.clone();
        random.shuffle(&mut other);
        let ledger = Ledger::in_memory(bounds);
        for group in random.groups(&other, most) {
            ledger.commit(&carried(&batch_of(group))).unwrap();
        }
        assert_same!(dump(&ledger), dump(&expected), "in another order");
        assert_indexes(&ledger, "in another order");
    }
}
