//! One suite for all engines: what a user or an attacker does, and what the contract promises.
//!
//! Each engine brings a [`support::Bed`] and instantiates every test by `conformance!(ItsBed)`.
//! A test that the list below forgets is reported by the compiler as never used.

pub(crate) mod catalog;
pub(crate) mod catch_up;
pub(crate) mod compare;
pub(crate) mod decide;
pub(crate) mod erase;
pub(crate) mod fences;
pub(crate) mod hold;
pub(crate) mod install;
pub(crate) mod moves;
pub(crate) mod passing;
pub(crate) mod reference;
pub(crate) mod scan;
pub(crate) mod shapes;
pub(crate) mod shared;
pub(crate) mod support;
pub(crate) mod withdraw;

/// One `#[tokio::test]` for each test of the suite, on one engine.
macro_rules! conformance {
    ($bed:ty) => {
        conformance! { $bed;
            catalog: [
                tells_columns_and_keys,
                a_script_makes_an_equal_catalog,
                a_script_applies_whole_or_not_at_all,
                people_come_in_the_order_of_bytes,
                rows_under_other_peoples_rows_are_counted,
                samples_are_bounded_texts_and_never_shown,
                samples_come_from_all_over_a_table,
                values_are_looked_up_by_their_text,
                rows_that_several_people_refer_to_are_counted,
                a_key_is_dropped_and_made_again_exactly,
                keys_that_changed_since_they_were_listed_stay,
                so_many_rows_are_read_and_nothing_is_written,
                a_numbered_key_tells_its_next_number,
            ]
            install: [
                twice_is_the_same_as_once,
                a_dropped_fence_is_noticed_and_put_back,
                nothing_is_installed_at_first,
                a_second_mover_is_refused,
                another_closure_is_refused_while_people_move,
                a_table_is_added_while_people_wait_to_be_erased,
                no_table_is_given_up_while_people_wait_to_be_erased_in_it,
                resting_does_not_blind_the_fences,
                resting_forgets_old_tombstones_only,
            ]
            moves: [
                a_whole_move_step_by_step,
                there_and_back_equals_the_start,
                a_late_settle_or_erase_spares_who_came_back,
                each_call_may_be_made_twice,
                who_moves_already_is_not_announced_again,
                a_key_used_again_after_its_account_was_deleted,
                a_lookup_tells_row_and_entry,
            ]
            shapes: [
                odd_names_and_a_key_of_two_columns,
                a_person_without_rows_below,
                a_person_who_is_not_there_at_all,
                a_text_of_a_megabyte,
                ten_thousand_rows,
                rows_that_refer_to_each_other,
            ]
            catch_up: [
                nothing_touched_is_nothing_to_ship,
                a_change_of_values_ships_the_row_alone,
                inserts_updates_and_deletes_are_shipped,
                a_post_deleted_with_its_comments,
                a_comment_moved_to_another_post,
                a_changed_key_takes_its_comments_along,
                an_account_deleted_while_moving,
                a_rolled_back_write_leaves_no_note,
                writes_about_others_are_not_noted,
                notes_are_forgotten_by_exact_number,
                a_write_before_the_copy_is_in_the_copy,
            ]
            passing: [
                a_post_given_to_somebody_who_stays,
                a_post_received_from_somebody_who_stays,
                a_post_passed_on_within_one_batch,
                a_post_passed_on_to_another_batch_giver_first,
                a_post_passed_on_to_another_batch_receiver_first,
                a_post_passed_on_and_changed_after_its_new_owner_settled,
                a_post_passed_on_and_back_while_an_older_snapshot_travels,
            ]
            reference: [
                changes_are_noted_where_they_are_written,
                another_site_refuses_to_write_them,
                changed_rows_become_equal,
                values_of_a_unique_key_change_places,
                a_row_that_people_refer_to_stays,
                an_undone_change_leaves_no_note,
                the_same_changes_may_be_applied_twice,
                replaced_and_emptied_rows_are_noted,
                a_name_used_again_while_its_row_is_kept,
                whoever_waits_for_a_refused_row_is_refused_as_well,
                refusals_are_kept_with_their_notes,
                what_a_kept_row_refers_to_is_kept_as_well,
                a_kept_row_comes_along_with_who_refers_to_it,
            ]
            shared: [
                an_address_goes_along_and_stays_for_who_stays,
                there_and_back_with_shared_rows_equals_the_start,
                a_changed_address_is_shipped_for_who_refers_to_it,
                an_address_changed_again_for_who_moves_later,
                two_peoples_changes_stand_against_each_other,
                an_address_no_longer_used_does_not_stay_at_the_target,
                an_abandoned_arrival_takes_its_address_along,
                an_address_of_people_who_left_is_refused,
                an_address_everybody_left_is_erased_and_no_other,
                a_child_before_its_address_is_shipped_with_it,
                copies_are_counted,
            ]
            decide: [
                what_was_touched_since_must_be_shipped_first,
                an_open_write_is_waited_for_elsewhere,
                a_dropped_fence_stops_the_decision,
                a_new_column_stops_the_decision,
                nobody_is_decided_under_another_move,
                closing_makes_writers_wait_until_reopened,
                closing_ends_with_the_departure,
                a_hot_writer_loses_nothing,
            ]
            fences: [
                after_the_decision_every_write_is_refused,
                the_others_write_on_after_a_decision,
                while_arriving_the_target_refuses,
                after_settling_the_target_is_home,
                after_erasing_nobody_comes_back_by_accident,
                a_statement_about_many_people_fails_whole,
            ]
            hold: [
                who_is_on_hold_is_not_announced,
                who_is_put_on_hold_while_copied_is_not_decided,
                who_is_put_on_hold_before_erasure_is_not_erased,
                directives_are_kept_and_taken_back,
            ]
            withdraw: [
                writes_go_on_and_the_target_is_empty,
                announced_again_after_a_withdrawal,
                a_decided_move_is_never_withdrawn,
                abandoning_spares_everybody_else,
            ]
            erase: [
                in_bites_and_to_the_end,
                never_before_the_decision,
                never_a_row_of_somebody_else,
            ]
            compare: [
                digests_tell_what_looks_alike,
                digests_do_not_depend_on_the_way_rows_came,
                rows_of_all_tables_are_read_in_one_snapshot,
                a_row_in_the_way_is_left_alone,
                a_late_copy_spares_who_settled,
                a_handle_taken_at_the_target_stops_the_copy,
                a_dangling_reference_is_named,
                a_broken_stream_leaves_nothing,
            ]
            scan: [
                a_clean_site_has_no_strays,
                a_row_without_owner_is_found,
                a_row_with_a_broken_way_to_its_owner_is_found,
                drift_of_reference_tables_is_found,
                reference_rows_are_loaded_whole_or_not_at_all,
                refusals_are_counted_where_they_can_be,
            ]
        }
    };
    ($bed:ty; $($topic:ident: [$($test:ident,)*])*) => { $(
        mod $topic {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    conformance::$topic::$test::<$bed>().await;
                }
            )*
        }
    )* };
}
