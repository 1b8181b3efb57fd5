// What the database must grant, and nothing beyond: the arrows between the services as a table a person can read.
// Every change here is a decision about who sees or changes what.

export const SCHEMAS = ['penstock', 'core', 'ingest', 'billing', 'payments', 'control', 'alerts', 'api'];
export const SERVICE_ROLES = ['penstock_ingest', 'penstock_billing', 'penstock_payments', 'penstock_control', 'penstock_alerts', 'penstock_api', 'penstock_api_worker', 'penstock_admin'];
export const ROLES = [...SERVICE_ROLES, 'penstock_door'];

// r: select, a: insert, w: update, d: delete. Truncate, references and trigger are nobody's.
const GRANTS = `
table                        ingest   billing  payments control  alerts   api      worker   admin    door
penstock.schema_version      -        -        -        -        -        -        -        -        -
core.account                 -        r        -        -        r        r        -        raw      r
core.agreement               -        r        -        -        r        r        -        raw      r
core.agreement_heads         -        r        -        -        -        r        -        raw      -
core.agreement_room          -        -        -        -        r        r        -        raw      -
core.audit                   -        -        -        -        -        ra       -        ra       -
core.calendar_day            r        r        -        -        -        r        -        raw      r
core.change_seq              r        r        -        r        raw      raw      -        raw      -
core.channel                 r        r        -        -        r        r        -        raw      r
core.channel_installation    r        r        -        -        r        r        -        raw      r
core.company                 r        r        -        -        r        r        -        raw      -
core.customer                -        -        -        -        r        r        -        raw      -
core.gateway                 r        -        -        -        r        r        -        raw      -
core.gateway_port            r        -        -        -        -        r        -        raw      -
core.legal_entity            -        -        -        -        -        r        -        raw      -
core.merchant                -        -        r        -        -        r        -        raw      r
core.meter                   r        r        -        -        r        r        -        raw      -
core.meter_model             r        r        -        -        -        r        -        raw      r
core.meter_replacement       -        -        -        -        -        r        -        ra       -
core.operator                -        -        -        -        -        r        -        raw      -
core.operator_role           -        -        -        -        -        r        -        raw      -
core.place                   -        r        -        -        r        r        -        raw      -
core.price_index_month       -        -        -        -        -        r        -        ra       -
core.property                r        r        -        -        r        r        -        raw      r
core.property_calendar_day   -        r        -        -        -        r        -        raw      r
core.property_seller         -        r        -        -        -        r        -        raw      r
core.purse                   -        r        -        -        r        r        -        raw      r
core.sales_policy            -        -        -        -        -        r        -        raw      -
core.switching_policy        -        -        -        -        -        raw      -        raw      r
core.tariff                  -        r        -        -        -        r        -        raw      -
core.tariff_assignment       -        r        -        -        -        r        -        raw      r
core.tariff_version          -        r        -        -        -        r        -        ra       r
core.tariff_version_index    -        r        -        -        -        r        -        ra       -
core.usage_point             r        r        -        -        r        r        -        raw      r
core.usage_point_account     -        r        -        -        r        r        -        raw      r
ingest.device_event          ra       -        -        -        -        r        -        r        -
ingest.gateway_contact       raw      -        -        -        -        r        -        r        -
ingest.gateway_counter       raw      -        -        -        -        r        -        r        -
ingest.gateway_session       raw      -        -        -        -        r        -        r        -
ingest.inbox                 rad      -        -        -        -        -        -        -        -
ingest.last_value            raw      -        -        -        -        r        -        r        -
ingest.line_command          rawd     -        -        -        -        r        -        r        -
ingest.meter_contact         raw      -        -        -        -        r        -        r        -
ingest.outbox                rawd     -        -        r        r        r        r        r        -
ingest.phase_alarm           raw      -        -        -        -        r        -        r        -
ingest.quota_demand          rawd     -        -        -        -        -        -        r        -
ingest.reading_block         ra       r        -        -        -        -        -        ra       -
ingest.refused_reading       ra       -        -        -        -        r        -        r        -
ingest.replica               rawd     -        -        -        -        -        -        r        -
ingest.supply_state          raw      -        -        -        -        r        -        r        -
billing.block_claim          -        rad      -        -        -        -        -        r        -
billing.charge               -        ra       -        -        -        r        -        r        -
billing.day                  -        raw      -        -        r        r        -        r        -
billing.day_request          -        rawd     -        -        -        -        -        r        -
billing.dead_letter          -        raw      -        -        -        r        -        r        -
billing.gap                  -        ra       -        -        -        r        -        r        -
billing.inbox                -        rad      -        -        -        -        -        -        -
billing.outbox               -        rawd     -        r        r        r        r        r        a
billing.partition_floor      -        raw      -        -        -        -        -        r        -
billing.point                -        raw      -        -        -        r        -        r        r
billing.posting              -        r        -        -        -        r        -        r        ra
billing.purse                -        raw      -        -        r        r        -        r        raw
billing.quarantine           -        raw      -        -        -        r        -        r        -
billing.rated_version        -        ra       -        -        -        r        -        r        -
billing.reading              -        ra       -        -        -        r        -        r        -
billing.recharge_item        -        raw      -        -        -        r        -        ra       -
billing.recharge_run         -        r        -        -        -        r        -        ra       -
billing.recharge_share       -        rd       -        -        -        r        -        ra       -
billing.replay_request       -        rawd     -        -        -        -        -        r        -
billing.replica              r        rawd     -        -        -        -        -        r        -
billing.tier_window          -        raw      -        -        -        r        -        r        -
billing.transfer             -        ra       -        -        -        r        -        r        ra
billing.transfer_permission  -        -        -        -        -        -        -        -        r
billing.window_close         -        raw      -        -        -        r        -        r        -
api.event_feed               -        -        -        -        -        rawd     rad      r        -
api.idempotency              -        -        -        -        -        rawd     rd       r        -
api.inbox                    -        -        -        -        -        -        rad      -        -
api.login_delay              -        -        -        -        -        rawd     rd       r        -
api.outbox                   r        -        r        r        r        rawd     rwd      r        -
api.read_request             -        -        -        -        -        ra       rwd      r        -
api.bulk_sale                -        -        -        -        -        raw      -        r        -
api.bulk_sale_row            -        -        -        -        -        raw      -        r        -
api.receipt_series           -        -        -        -        -        raw      -        r        -
api.sale                     -        -        -        -        -        raw      rw       r        -
api.session                  -        -        -        -        -        rawd     rd       r        -
payments.attempt             -        -        ra       -        -        r        -        r        -
payments.channel_payment     -        -        raw      -        -        -        -        r        -
payments.inbox               -        -        rad      -        -        -        -        -        -
payments.merchant_key        -        -        ra       -        -        -        -        raw      -
payments.notification        -        -        raw      -        -        -        -        r        r
payments.outbox              -        -        rawd     r        r        r        r        r        -
payments.payment_order       -        -        raw      -        -        r        -        r        raw
payments.refund              -        -        raw      -        -        r        -        r        -
payments.suspense            -        -        raw      -        -        r        -        r        rw
control.alarm                -        -        -        ra       -        r        -        r        r
control.batch                -        -        -        raw      -        r        -        r        raw
control.command              -        -        -        raw      -        r        -        r        rw
control.desired              -        -        -        raw      -        r        -        r        raw
control.force_on             -        -        -        raw      -        r        -        r        r
control.freeze               -        -        -        ra       -        r        -        r        raw
control.limiter              -        -        -        r        -        r        -        r        raw
control.parameter            -        -        -        raw      -        r        -        r        raw
control.purse                -        -        -        raw      -        r        -        r        r
control.refusal              -        -        -        raw      -        r        -        r        ra
control.request              -        -        -        raw      -        r        -        r        raw
control.inbox                -        -        -        rad      -        -        -        -        -
control.outbox               r        -        -        rawd     r        r        r        r        a
alerts.inbox                 -        -        -        -        rad      -        -        -        -
alerts.outbox                -        -        -        -        rawd     r        r        r        -
core.customer_contact        -        -        -        -        r        raw      -        raw      -
core.alert_recipient         -        -        -        -        r        raw      -        raw      -
core.alert_rule              -        -        -        -        r        raw      -        raw      -
core.channel_account         -        -        -        -        r        raw      -        raw      -
core.message_template        -        -        -        -        r        raw      -        raw      -
alerts.episode               -        -        -        -        rawd     r        -        r        -
alerts.message               -        -        -        -        rawd     r        -        r        -
alerts.receipt               -        -        -        -        rawd     r        -        r        -
alerts.delivered_warning     -        -        -        r        rawd     raw      -        r        r
alerts.cost                  -        -        -        -        rawd     r        -        r        -
alerts.breaker               -        -        -        -        rawd     r        -        r        -
alerts.token                 -        -        -        -        raw      -        -        -        -
`;

// Single columns, where the whole table would be too much.
const COLUMN_GRANTS = `
billing.purse.account_num    ingest r
billing.purse.company_id     ingest r
billing.purse.level          ingest r
billing.purse.num            ingest r
core.usage_point_account.account_num ingest r
core.usage_point_account.company_id ingest r
core.usage_point_account.from_at ingest r
core.usage_point_account.purse_num ingest r
core.usage_point_account.to_at ingest r
core.usage_point_account.usage_point_num ingest r
core.customer_contact.bad_since alerts w
core.customer_contact.change_seq alerts w
alerts.episode.acknowledged_at api w
alerts.episode.acknowledged_by api w
core.company.code            door r
core.company.company_id      door r
core.gateway.company_id      billing r
core.gateway.num             billing r
core.gateway.poll_interval_s billing r
core.gateway.company_id      door r
core.gateway.disabled_at     door r
core.gateway.kind            door r
core.gateway.num             door r
core.meter.company_id        door r
core.meter.gateway_num       door r
core.meter.model_num         door r
core.meter.num               door r
core.meter.removed_at        door r
core.operator.company_id     door r
core.operator.disabled_at    door r
core.operator.num            door r
core.operator.change_seq     api w
core.operator.locale         api w
core.purse.alarm_1_micro     api w
core.purse.alarm_2_micro     api w
core.purse.change_seq        api w
core.purse.version           api w
`;

// Leaves are reached past their parent's policies: by the one service that fills them, for COPY alone.
const LEAF_GRANTS = `
ingest.reading_block         ingest ra
ingest.refused_reading       -
billing.reading              billing ra
billing.charge               billing ra
billing.transfer             billing ra
billing.day                  -
`;

const SCHEMA_USAGE = `
penstock                     ingest billing payments control alerts api worker admin door
core                         ingest billing payments control alerts api admin door
ingest                       ingest billing control alerts api worker admin door
billing                      ingest billing payments control alerts api worker admin door
payments                     payments control alerts api worker admin door
control                      ingest control alerts api worker admin door
alerts                       control alerts api worker admin door
api                          ingest payments control alerts api worker admin door
`;

// The version of the schema is everybody's to read.
export const PUBLIC_GRANTS = ['penstock.schema_version r'];

// The numbers of postings made one by one.
export const SEQUENCE_GRANTS = ['billing.transfer_num_seq is granted to penstock_door'];

// Name, who may call it, and for functions that run as their owner, who that is.
const FUNCTIONS = `
penstock.current_company     -               ingest billing payments control alerts api admin door
penstock.ensure_partitions   penstock_owner  ingest billing admin
penstock.ensure_day_months   penstock_owner  billing admin
penstock.protect             -
core.company_by_code         penstock_door   api
core.touch                   -
billing.credit_level         -               billing admin door
billing.drop_expired         penstock_owner  billing
billing.lock_purse           penstock_door   api payments admin
billing.open_purse           penstock_door   api payments admin
billing.unclaimed_blocks     -               billing
billing.transfer_num         penstock_door   api payments admin
billing.post_each            penstock_door   payments
billing.post_transfers       penstock_door   api payments admin
core.is_cut_windows          -               api admin
core.is_switching_schedule   -               api admin
control.policy_of            -               api admin door
control.refusal_of           -               control door
control.day_kind             -               api door
control.is_in_window         -               api door
control.next_window          -               api door
control.scheduled_state      -               door
control.tariff_changed_at    -               door
control.is_person            -               door
control.facts_of             penstock_door   control
control.open_point           penstock_door   control
control.points_of_purse      penstock_door   control
control.point_of_channel     penstock_door   control
control.unwatched_points     penstock_door   control
control.wake_read            penstock_door   control
control.has_changed          penstock_door   control
control.sync_parameters      penstock_door   control
control.claim_switch_off     penstock_door   ingest
control.submit_request       penstock_door   api admin control
control.propose_batch        penstock_door   api admin
control.decide_batch         penstock_door   api admin
control.release_freeze       penstock_door   api admin
payments.open_order          penstock_door   api admin
payments.cancel_order        penstock_door   api admin
payments.decide_suspense     penstock_door   api admin
payments.switch_off_block    penstock_door   control door
ingest.command_kind          -               ingest
ingest.session_lives         -               ingest
`;

// Workers that serve all companies, by schema; one table may have fewer.
export const WORKERS = { core: ['ingest', 'billing', 'admin'], ingest: ['ingest', 'admin'], billing: ['billing', 'admin'], payments: ['payments', 'admin'], control: ['control', 'admin'], alerts: ['alerts', 'admin'], api: ['api_worker', 'admin'] };
export const WORKERS_OF = { 'core.customer_contact': ['alerts', 'admin'], 'core.alert_recipient': ['alerts', 'admin'], 'core.alert_rule': ['alerts', 'admin'], 'core.channel_account': ['alerts', 'admin'], 'core.message_template': ['alerts', 'admin'], 'core.switching_policy': ['admin'], 'core.agreement_heads': ['billing', 'admin'], 'core.tariff_version_index': ['billing', 'admin'], 'core.meter_replacement': ['admin'], 'core.audit': ['admin'], 'core.sales_policy': ['admin'], 'core.merchant': ['payments', 'admin'] };
// Policies beyond these: a consumer's sweep reads the producers' outboxes; log-in turns a code into a number.
export const FURTHER_POLICIES = [
  'core.company penstock_door SELECT true',
  'core.change_seq penstock_control SELECT true',
  'billing.outbox penstock_api_worker SELECT true',
  'ingest.outbox penstock_api_worker SELECT true',
  'api.outbox penstock_ingest SELECT true',
  'core.change_seq penstock_alerts ALL true',
  'alerts.delivered_warning penstock_control SELECT true',
  'core.company penstock_alerts SELECT true',
  'core.property penstock_alerts SELECT true',
  'core.place penstock_alerts SELECT true',
  'core.customer penstock_alerts SELECT true',
  'core.agreement penstock_alerts SELECT true',
  'core.agreement_room penstock_alerts SELECT true',
  'core.account penstock_alerts SELECT true',
  'core.purse penstock_alerts SELECT true',
  'core.usage_point penstock_alerts SELECT true',
  'core.usage_point_account penstock_alerts SELECT true',
  'core.gateway penstock_alerts SELECT true',
  'core.meter penstock_alerts SELECT true',
  'core.channel penstock_alerts SELECT true',
  'core.channel_installation penstock_alerts SELECT true',
  'billing.purse penstock_alerts SELECT true',
  'billing.purse penstock_ingest SELECT true',
  'billing.day penstock_alerts SELECT true',
  'api.outbox penstock_payments SELECT true',
  'api.outbox penstock_control SELECT true',
  'api.outbox penstock_alerts SELECT true',
  'billing.outbox penstock_control SELECT true',
  'billing.outbox penstock_alerts SELECT true',
  'ingest.outbox penstock_control SELECT true',
  'ingest.outbox penstock_alerts SELECT true',
  'control.outbox penstock_ingest SELECT true',
  'control.outbox penstock_alerts SELECT true',
  'payments.outbox penstock_control SELECT true',
  'payments.outbox penstock_alerts SELECT true',
  'payments.outbox penstock_api_worker SELECT true',
  'control.outbox penstock_api_worker SELECT true',
  'alerts.outbox penstock_api_worker SELECT true',
];

// Tables without a company, and why.
export const WITHOUT_COMPANY = {
  'penstock.schema_version': 'the schema itself',
  'core.calendar_day': 'one calendar for the platform',
  'core.meter_model': 'kinds of devices, for the platform',
  'core.price_index_month': 'published once for everybody',
  'ingest.reading_block': 'mixes companies: for ingest and billing, and for the import and audit of the command line',
  'ingest.inbox': 'ids of events only',
  'ingest.replica': 'processes',
  'billing.block_claim': 'numbers of blocks only',
  'billing.inbox': 'ids of events only',
  'billing.partition_floor': 'progress of partitions',
  'billing.replica': 'processes',
  'billing.transfer_permission': 'which role posts which kind',
  'payments.inbox': 'ids of events only',
  'control.inbox': 'ids of events only',
  'alerts.inbox': 'ids of events only',
  'api.inbox': 'ids of events only',
};

// Keys that do not begin with the company, and why.
export const KEYS_WITHOUT_COMPANY = {
  'core.company.company_id_uq': 'the company itself',
  'core.company.company_code_uq': 'what a person types before the company is known',
  'core.gateway.gateway_registration_uq': 'what a link says before the company is known',
  'core.gateway.gateway_key_id_uq': 'what a push says before the company is known',
  'core.meter.meter_model_num_fk': 'models are for the platform',
  'ingest.outbox.outbox_event_id_pk': 'a random id, and workers alone write it',
  'billing.outbox.outbox_event_id_pk': 'a random id, and workers alone write it',
  'core.channel_account.channel_account_receipt_path_uq': 'what a provider says before the company is known',
  'payments.outbox.outbox_event_id_pk': 'a random id, and workers alone write it',
  'control.outbox.outbox_event_id_pk': 'a random id, and workers alone write it',
  'alerts.outbox.outbox_event_id_pk': 'a random id, and workers alone write it',
  'api.outbox.outbox_event_id_pk': 'a random id',
  'billing.purse.purse_num_pk': 'the purse number of core, unique over all companies',
  'billing.point.point_num_pk': 'the usage point number of core',
  'billing.tier_window.tier_window_usage_point_num_account_num_window_from_pk': 'numbers of core',
  'billing.window_close.window_close_usage_point_num_account_num_window_from_pk': 'numbers of core',
  'billing.day.day_usage_point_num_day_pk': 'the usage point number of core',
  'billing.replay_request.replay_request_usage_point_num_pk': 'the usage point number of core',
  'billing.day_request.day_request_usage_point_num_day_pk': 'the usage point number of core',
};

// Time is a parameter; a guard against dropping young data is the exception.
export const CLOCK_FUNCTIONS = ['billing.drop_expired'];

const SHORT = { ingest: 'penstock_ingest', billing: 'penstock_billing', payments: 'penstock_payments', control: 'penstock_control', alerts: 'penstock_alerts', api: 'penstock_api', worker: 'penstock_api_worker', admin: 'penstock_admin', door: 'penstock_door' };
export const roleOf = (short) => SHORT[short];

const lines = (text) => text.trim().split('\n').map((line) => line.trim().split(/\s+/));

// "table role letters" for each grant.
export function expectedGrants() {
  const [[, ...columns], ...rows] = lines(GRANTS);
  return rows.flatMap(([table, ...cells]) => cells.flatMap((cell, i) => (cell === '-' ? [] : [`${table} ${roleOf(columns[i])} ${cell}`])));
}

export const expectedTables = () => lines(GRANTS).slice(1).map(([table]) => table);
export const expectedColumnGrants = () => lines(COLUMN_GRANTS).map(([column, role, letters]) => `${column} ${roleOf(role)} ${letters}`);
export const expectedLeafGrants = () => new Map(lines(LEAF_GRANTS).map(([parent, role, letters]) => [parent, role === '-' ? [] : [`${roleOf(role)} ${letters}`]]));
export const expectedUsage = () => lines(SCHEMA_USAGE).flatMap(([schema, ...roles]) => roles.map((role) => `${schema} ${roleOf(role)}`));
export const expectedFunctions = () =>
  lines(FUNCTIONS).map(([name, definer, ...callers]) => ({ name, definer: definer === '-' ? null : definer, callers: callers.map(roleOf).sort() }));
