// A line to switch on: gateways of the simulated fleet, whose meters obey and write a truth log, and control played by
// the test: it issues commands and answers claims.
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child } from '../../support/child.mjs';
import { program } from '../../support/stack.mjs';
import { readTruth } from '../../support/truth.mjs';
import { waitFor, withDeadline } from '../../support/wait.mjs';

let nextAddress = 200000000000;
let nextVersion = 1;

// In control's place: claims are noted, and answered as control.claim_answer says, else with yes.
export async function playControl(stack) {
  await stack.query('drop function control.claim_switch_off(integer, uuid, timestamptz)');
  await stack.query('create table control.claim_call (command uuid not null, at timestamptz not null)');
  await stack.query('create table control.claim_answer (command uuid primary key, reason text, delay_s double precision)');
  await stack.query(`
    create function control.claim_switch_off(company integer, wanted uuid, at timestamptz) returns table (claimed boolean, reason text)
        language plpgsql security definer as $$
    begin
        if company is null or company is distinct from penstock.current_company() then
            raise exception 'the company of the transaction is not set';
        end if;
        perform pg_sleep(a.delay_s) from control.claim_answer a where a.command = wanted;
        insert into control.claim_call values (wanted, at);
        return query select a.reason is null, a.reason from (select 1) one left join control.claim_answer a on a.command = wanted;
    end $$`);
  await stack.query('grant execute on function control.claim_switch_off(integer, uuid, timestamptz) to penstock_ingest');
}

export class Line {
  // `meters`: what each is, e.g. [{}, { kind: 'valve', travel_ms: 3000 }, { password: '02000001', told: '02000000' }].
  static async create(site, meters, { poll = 3600 } = {}) {
    const line = new Line();
    line.site = site;
    line.stack = site.stack;
    line.gateway = await site.addDtu({ heartbeat: 5 });
    line.meters = [];
    for (const one of meters) {
      const address = String(nextAddress++);
      const password = one.told === undefined ? (one.password ?? '02112233') : one.told;
      const model = await site.addModel(one.kind ?? 'relay');
      const meter = await site.addMeter(line.gateway, address, { protocol: 'dlt645_2007', model, password });
      await line.stack.query('update core.meter set poll_interval_s = $2 where num = $1', [meter.num, poll]);
      line.meters.push({ ...meter, config: { address, profile: 'flat', start_wh: 5000, password: one.password ?? '02112233', travel_ms: one.travel_ms ?? 0, clock_offset_ms: one.clock_offset_ms ?? 0 } });
    }
    return line.#makeFiles();
  }

  // Around a gateway and meters that somebody else installed: { num, channel, address, config }.
  static around(site, gateway, meters) {
    return Object.assign(new Line(), { site, stack: site.stack, gateway, meters }).#makeFiles();
  }

  #makeFiles() {
    this.folder = mkdtempSync(join(tmpdir(), 'line-'));
    this.truthPath = join(this.folder, 'truth');
    this.controlPath = join(this.folder, 'ctl');
    return this;
  }

  // Connects the fleet's gateway to the service and waits for its session.
  async connect(service, { answer_ms = 5 } = {}) {
    const config = {
      seed: 1,
      tcp: `127.0.0.1:${service.ports.tcp}`,
      gateways: [{ kind: 'dtu', registration: this.gateway.registration, heartbeat_s: 1, answer_ms, meters: this.meters.map((m) => m.config) }],
    };
    writeFileSync(join(this.folder, 'fleet.json'), JSON.stringify(config));
    this.fleet = new Child('fleet', program('penstock-fleet'), ['--config', join(this.folder, 'fleet.json'), '--truth', this.truthPath, '--control', this.controlPath, '--state', join(this.folder, 'state')]);
    await this.session();
    return this;
  }

  session() {
    return waitFor(() => this.stack.value('select epoch from ingest.gateway_session where gateway_num = $1 and closed_at is null', [this.gateway.num]), { what: 'the session', within_ms: 15_000 });
  }

  async disconnect() {
    await this.fleet.killNow().catch(() => {});
    await waitFor(async () => !(await this.stack.value('select epoch from ingest.gateway_session where gateway_num = $1 and closed_at is null', [this.gateway.num])), { what: 'the end of the session', within_ms: 25_000 });
  }

  order(command) {
    return withDeadline(
      new Promise((resolve, reject) => {
        const socket = net.connect(this.controlPath, () => socket.write(`${JSON.stringify(command)}\n`));
        let text = '';
        socket.on('error', reject);
        socket.on('data', (chunk) => {
          text += chunk;
          if (!text.endsWith('\n')) return;
          socket.destroy();
          resolve(JSON.parse(text));
        });
      }),
      5000,
      'the fleet',
    ).then((answer) => {
      if (!answer.ok) throw new Error(JSON.stringify(answer));
      return answer;
    });
  }

  fault(meter, fault, value = 0) {
    return this.order({ do: 'fault', fault, meter: meter.address, value });
  }

  shown(meter) {
    return this.order({ do: 'register', meter: meter.address });
  }

  truth(meter, event) {
    return readTruth(this.truthPath).filter((one) => one.event === event && one.meter === meter.address);
  }

  // Trips that reached the meter, whatever it did with them.
  trips(meter) {
    return this.truth(meter, 'control').filter((one) => one.operation === '1A');
  }

  // Issues a command; the answer is its id.
  async issue(meter, operation, { parameters = {}, version = nextVersion++, forMs = 60_000, command = randomUUID(), event = randomUUID(), payload = {}, claim } = {}) {
    if (claim) await this.stack.query('insert into control.claim_answer values ($1, $2, $3)', [command, claim.reason ?? null, claim.delay_s ?? 0]);
    const told = {
      command,
      gateway: Number(this.gateway.num),
      meter: Number(meter.num),
      channel: Number(meter.channel),
      operation,
      parameters,
      version,
      not_after: new Date(Date.now() + forMs).toISOString(),
      ...payload,
    };
    await this.stack.query(
      `insert into control.outbox (event_id, company_id, stream, type, subject_num, version, payload, created_at)
       values ($1, $2, 'commands', 'command_issued', $3, $4, $5, now())`,
      [event, this.site.company, meter.channel, version, told],
    );
    await this.stack.redis('XADD', 'commands', '*', 'e', event);
    return command;
  }

  async results(command) {
    const { rows } = await this.stack.query("select payload from ingest.outbox where stream = 'command-results' and payload->>'command' = $1", [command]);
    return rows.map((row) => row.payload);
  }

  async result(command, { within_ms = 20_000 } = {}) {
    const [first] = await waitFor(async () => {
      const found = await this.results(command);
      return found.length > 0 && found;
    }, { what: `the result of ${command}`, within_ms, every_ms: 20 });
    return { outcome: first.outcome, reason: first.reason, state: first.state };
  }

  async run(meter, operation, options) {
    return this.result(await this.issue(meter, operation, options), options);
  }

  async deviceEvents(meter, type) {
    const { rows } = await this.stack.query('select payload from ingest.outbox where type = $1 and subject_num = $2 order by created_at, event_id', [type, meter.channel]);
    return rows.map((row) => row.payload);
  }

  async end() {
    await this.fleet?.killNow().catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }
}
