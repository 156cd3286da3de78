-- What the peers keep: the same rows that Cardwork's tracking and accounts services write for one cancelled card,
-- without what only Cardwork does (outbox, permissions, card numbers).
create table account(
  id text primary key, status text not null, cancel_reason text, cancelled_at timestamptz, version int not null default 0);
create table inbox(message_id uuid primary key, received_at timestamptz not null default now());
create table account_history(
  id bigint generated always as identity primary key, account_id text not null, command_id uuid not null,
  field text not null, old_value text, new_value text, actor text not null,
  changed_at timestamptz not null default clock_timestamp());
create index on account_history(account_id);
create table request(
  command_id uuid primary key, tracking_number text not null unique, command_type text not null, target text not null,
  actor text not null, channel text not null, payload jsonb not null, status text not null,
  received_at timestamptz not null default clock_timestamp(), completed_at timestamptz);
create index on request(received_at) where status <> 'completed';
create table timeline(
  id bigint generated always as identity primary key, command_id uuid not null, status text not null,
  at timestamptz not null default clock_timestamp());
create index on timeline(command_id);
insert into account(id, status) select 'acc_' || lpad(n::text, 12, '0'), 'active' from generate_series(1, 100000) n;
