"""The first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.sql.ddl import CreateView, DropView

from serving.state.append_only import drop_refusal, make_append_only
from serving.state.tables import Json, Moment, Serial
from serving.state.views import VIEWS

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.Text(), nullable=False),
        sa.Column("scopes", Json, nullable=False),
        sa.Column("row_scope", Json, nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.Column("rotated_from", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("secret_hash", name=op.f("uq_api_keys_secret_hash")),
    )
    op.create_table(
        "applications",
        sa.Column("application_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("answers", Json, nullable=False),
        sa.Column("applied_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_applications")),
    )
    op.create_index(op.f("ix_applications_user_id"), "applications", ["user_id"], unique=False)

    op.create_table(
        "audit_log",
        sa.Column("entry", Serial, autoincrement=True, nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=True),
        sa.Column("criteria", Json, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_audit_log")),
    )
    op.create_index(op.f("ix_audit_log_at"), "audit_log", ["at"], unique=False)
    make_append_only(op.get_bind(), "audit_log")

    op.create_table(
        "candidate_lists",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("model_version", sa.Text(), nullable=False),
        sa.Column("as_of", Moment(), nullable=False),
        sa.Column("criteria", Json, nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("shortfalls", Json, nullable=False),
        sa.Column("checksum", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_candidate_lists")),
    )
    op.create_index(op.f("ix_candidate_lists_created_at"), "candidate_lists", ["created_at"], unique=False)

    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_facts")),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("arguments", Json, nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("progress", sa.Float(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("most_attempts", sa.Integer(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_until", Moment(), nullable=True),
        sa.Column("cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("result", Json, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("started_at", Moment(), nullable=True),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_jobs")),
    )
    op.create_index(op.f("ix_jobs_lease_until"), "jobs", ["lease_until"], unique=False)
    op.create_index(op.f("ix_jobs_state"), "jobs", ["state"], unique=False)

    op.create_table(
        "roster",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("staff", sa.Text(), nullable=True),
        sa.Column("inviter_id", sa.Text(), nullable=True),
        sa.Column("join_scene", sa.Text(), nullable=True),
        sa.Column("community_id", sa.Text(), nullable=True),
        sa.Column("added_at", Moment(), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_roster")),
    )
    op.create_index(op.f("ix_roster_external_id"), "roster", ["external_id"], unique=False)
    op.create_index(op.f("ix_roster_user_id"), "roster", ["user_id"], unique=False)

    op.create_table(
        "suppressions",
        sa.Column("suppression", Serial, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=True),
        sa.Column("starts_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("lifted_at", Moment(), nullable=True),
        sa.Column("lifted_because", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("suppression", name=op.f("pk_suppressions")),
    )
    op.create_index(op.f("ix_suppressions_user_id"), "suppressions", ["user_id"], unique=False)

    op.create_table(
        "application_persons",
        sa.Column("application_id", sa.Text(), nullable=False),
        sa.Column("person", Json, nullable=False),
        sa.ForeignKeyConstraint(
            ["application_id"], ["applications.application_id"], name=op.f("fk_application_persons_application_id")
        ),
        sa.PrimaryKeyConstraint("application_id", name=op.f("pk_application_persons")),
    )
    op.create_table(
        "list_members",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("staff", sa.Text(), nullable=True),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_list_members_list_id")),
        sa.PrimaryKeyConstraint("list_id", "rank", name=op.f("pk_list_members")),
        sa.UniqueConstraint("list_id", "user_id", name=op.f("uq_list_members_list_id")),
    )
    op.create_index(op.f("ix_list_members_staff"), "list_members", ["staff"], unique=False)
    op.create_index(op.f("ix_list_members_user_id"), "list_members", ["user_id"], unique=False)

    op.create_table(
        "list_payloads",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_list_payloads_list_id")),
        sa.PrimaryKeyConstraint("list_id", name=op.f("pk_list_payloads")),
    )
    op.create_table(
        "member_events",
        sa.Column("event", Serial, autoincrement=True, nullable=False),
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("staff", sa.Text(), nullable=True),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_member_events_list_id")),
        sa.PrimaryKeyConstraint("event", name=op.f("pk_member_events")),
    )
    op.create_index(op.f("ix_member_events_list_id"), "member_events", ["list_id"], unique=False)

    op.create_table(
        "outcomes",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("list_id", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=True),
        sa.Column("happened_at", Moment(), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_outcomes_list_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outcomes")),
    )
    op.create_index(op.f("ix_outcomes_list_id"), "outcomes", ["list_id"], unique=False)
    op.create_index(op.f("ix_outcomes_user_id"), "outcomes", ["user_id"], unique=False)

    op.create_table(
        "outreach",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("list_id", sa.Text(), nullable=True),
        sa.Column("campaign_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("against", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=True),
        sa.Column("incentive", sa.Text(), nullable=True),
        sa.Column("cost", sa.BigInteger(), nullable=True),
        sa.Column("staff", sa.Text(), nullable=True),
        sa.Column("contacted_at", Moment(), nullable=False),
        sa.Column("recorded_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_outreach_list_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outreach")),
    )
    op.create_index(op.f("ix_outreach_contacted_at"), "outreach", ["contacted_at"], unique=False)
    op.create_index(op.f("ix_outreach_list_id"), "outreach", ["list_id"], unique=False)
    op.create_index(op.f("ix_outreach_user_id"), "outreach", ["user_id"], unique=False)

    op.create_table(
        "reservations",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("until", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["candidate_lists.list_id"], name=op.f("fk_reservations_list_id")),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_reservations")),
    )
    op.create_index(op.f("ix_reservations_list_id"), "reservations", ["list_id"], unique=False)
    op.create_index(op.f("ix_reservations_until"), "reservations", ["until"], unique=False)
    for name, rows in VIEWS.items():
        op.execute(CreateView(rows, name))


def downgrade() -> None:
    for name in VIEWS:
        op.execute(DropView(sa.Table(name, sa.MetaData())))
    op.drop_index(op.f("ix_reservations_until"))
    op.drop_index(op.f("ix_reservations_list_id"))

    op.drop_table("reservations")
    op.drop_index(op.f("ix_outreach_user_id"))
    op.drop_index(op.f("ix_outreach_list_id"))
    op.drop_index(op.f("ix_outreach_contacted_at"))

    op.drop_table("outreach")
    op.drop_index(op.f("ix_outcomes_user_id"))
    op.drop_index(op.f("ix_outcomes_list_id"))

    op.drop_table("outcomes")
    op.drop_index(op.f("ix_member_events_list_id"))

    op.drop_table("member_events")
    op.drop_table("list_payloads")
    op.drop_index(op.f("ix_list_members_user_id"))
    op.drop_index(op.f("ix_list_members_staff"))

    op.drop_table("list_members")
    op.drop_table("application_persons")
    op.drop_index(op.f("ix_suppressions_user_id"))

    op.drop_table("suppressions")
    op.drop_index(op.f("ix_roster_user_id"))
    op.drop_index(op.f("ix_roster_external_id"))

    op.drop_table("roster")
    op.drop_index(op.f("ix_jobs_state"))
    op.drop_index(op.f("ix_jobs_lease_until"))

    op.drop_table("jobs")
    op.drop_table("facts")
    op.drop_index(op.f("ix_candidate_lists_created_at"))

    op.drop_table("candidate_lists")
    op.drop_index(op.f("ix_audit_log_at"))

    op.drop_table("audit_log")
    drop_refusal(op.get_bind(), "audit_log")
    op.drop_index(op.f("ix_applications_user_id"))

    op.drop_table("applications")
    op.drop_table("api_keys")
