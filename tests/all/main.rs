//! Every test that needs a store, HTTP or a process, linked as one binary.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test finds wrong ends it"
)]

mod api_acts;
mod api_appeals;
mod api_bad_input;
mod api_bad_queries;
mod api_cases;
mod api_commands;
mod api_connections;
mod api_documents;
mod api_feed;
mod api_follow;
mod api_indistinguishable;
mod api_letters;
mod api_limits;
mod api_metrics;
mod api_own_views;
mod api_page;
mod api_paging;
mod api_readiness;
mod api_registration;
mod api_reporters;
mod api_reports;
mod api_roles;
mod api_sender;
mod api_serving;
mod api_shapes;
mod api_tokens;
mod api_tour;
mod api_versions;
mod api_views;
mod architecture;
mod audit_explain;
mod audit_http;
mod audit_letters;
mod audit_moments;
mod audit_refusals;
mod audit_views;
mod college_replay;
mod commands_acts;
mod commands_appeals;
mod commands_cases;
mod commands_facts;
mod commands_follow_ups;
mod commands_ids;
mod commands_kept;
mod commands_limits;
mod commands_loading;
mod commands_reporters;
mod commands_rules;
mod event_catalogue;
mod program_at_rest;
mod program_audit;
mod program_backup;
mod program_care;
mod program_damage;
mod program_errors;
mod program_events;
mod program_export;
mod program_follow;
mod program_full_disk;
mod program_import;
mod program_import_again;
mod program_import_told;
mod program_letters;
mod program_service;
mod program_tour;
mod program_usage;
mod program_view_kills;
mod program_views;
mod schema_level;
mod store_backup;
mod store_concurrency;
mod store_conformance;
mod store_crash;
mod store_damage;
mod store_disk;
mod store_kill;
mod store_model;
mod tables_disk;
mod tables_recovery;
mod tables_versions;
mod views_conversation;
mod views_crashes;
mod views_decisions;
mod views_feed;
mod views_inbox;
mod views_letters;
mod views_model;
mod views_moderation;
mod views_own;
mod views_own_told;
mod views_own_versions;
mod views_queue;
mod views_requests;
