import { existsSync } from 'node:fs';
import { freemem } from 'node:os';
import { dirname, join } from 'node:path';
import { Labeller, type Outcome } from './batch/crew.js';
import type { Failure } from './batch/messages.js';
import { type BatchFormat, type BatchJob, FORMATS, findJobs } from './batch/scans.js';
import { checkInteger, checkPath, defaultThreads, MAX_THREADS } from './check.js';
import { isPulmoavError, UsageError } from './errors.js';
import { makeFolder, withLock, writeAtomic } from './files.js';
import { checkDevices } from './native/device.js';
import { CALL_OPTIONS, CALLBACK, checkOptions, integer, type Kinds, listOf, PATH, SWITCH, TEXT } from './options.js';
import { inputRecord, isMade, labelSource, modelHash } from './record.js';
import { type SegmentedTarget, Segmenter } from './segment.js';
import { deciding, JOB_OPTIONS, loading, type SegmentJob } from './segment-file.js';
import type { CallOptions, Progress, Warning } from './types.js';

/** Many scans to label with one model. */
export interface BatchRequest extends Omit<SegmentJob, 'input' | 'output' | 'probabilities' | 'record' | 'overwrite'> {
  /** Files, folders, BIDS or nnU-Net data sets, or lists of jobs (`.json`). */
  inputs: string[];
  /** Folder of the label maps, their records and `batch.json`. */
  out: string;
  /** Ending of the label maps: `nii.gz`, `nii`, `nrrd`, `seg.nrrd`, `mha` or, of DICOM, `seg.dcm`. @default 'nii.gz' */
  format?: BatchFormat | undefined;
  /** Leave out what is made already: of the same scan by its hash, with the same model and options. @default false */
  resume?: boolean | undefined;
  /** Replace label maps that are there. @default false */
  overwrite?: boolean | undefined;
  /** Every n-th scan from the i-th on, `[i, n]`, counted from 1: for n machines that share the work. */
  shard?: [index: number, count: number] | undefined;
  /** Processes that label side by side; threads and memory are shared out. @default 2 where memory allows, or one a GPU of `devices` */
  processes?: number | undefined;
  /** Only say what would be done. @default false */
  dryRun?: boolean | undefined;
}

/** What became of one scan. */
export interface BatchCase {
  name: string;
  inputs: string[];
  output: string;
  /** `made` before, with the same scan, model and options; `planned` in a dry run. */
  status: 'done' | 'made' | 'failed' | 'planned';
  error: Failure | null;
  seconds: number | null;
  targets: SegmentedTarget[];
  warnings: Warning[];
}

/** What became of a batch. */
export interface BatchReport {
  out: string;
  /** In the order of their names. */
  cases: BatchCase[];
  done: number;
  made: number;
  failed: number;
  seconds: number;
  processes: number;
}

/** Options of {@link batch}. */
export interface BatchOptions extends CallOptions {
  /** Called when a scan is done, made before, or failed. */
  onCase?: ((one: BatchCase, count: { ended: number; total: number }) => void) | undefined;
}

const { input: _input, output: _output, probabilities: _probabilities, record: _record, ...ofJob } = JOB_OPTIONS;
const REQUEST: Kinds<BatchRequest> = {
  ...ofJob,
  inputs: listOf('paths', PATH),
  out: PATH,
  format: TEXT,
  resume: SWITCH,
  shard: listOf('two numbers', integer(1, 1_000_000)),
  processes: integer(1, MAX_THREADS),
  dryRun: SWITCH,
};

const OPTIONS: Kinds<BatchOptions> = { ...CALL_OPTIONS, onCase: CALLBACK };

/** A process takes about so much for a whole chest CT. */
const PROCESS_BYTES = 2 * 2 ** 30;

/**
 * Labels many scans: the model is loaded once a process, and reading, computing and writing of several scans overlap.
 * A scan that fails does not stop the rest. Each label map appears whole or not at all, so a batch that was cancelled or
 * killed goes on with `resume`.
 *
 * @throws UsageError, IoError, FormatError for what concerns all scans; `signal.reason` when cancelled, with what is
 * finished kept
 */
export async function batch(request: BatchRequest, options: BatchOptions = {}): Promise<BatchReport> {
  const started = performance.now();
  checkOptions(options, OPTIONS);
  check(request);
  const jobs = shardOf(await findJobs(request.inputs, request.out, request.format), request.shard);
  if (!request.dryRun && !request.resume && !request.overwrite) refuseOld(jobs);
  const model = await checkModel(request, options);
  const processes = Math.min(jobs.length, request.processes ?? defaultProcesses(request));
  const team: Team = { request, model, processes, devices: request.devices ?? [] };
  const cases: BatchCase[] = [];
  const report = (): BatchReport => {
    const count = (status: BatchCase['status']) => cases.filter((one) => one.status === status).length;
    const sorted = [...cases].sort((a, b) => (a.name < b.name ? -1 : 1));
    const seconds = (performance.now() - started) / 1000;
    const [done, made, failed] = [count('done'), count('made'), count('failed')];
    return { out: request.out, cases: sorted, done, made, failed, seconds, processes };
  };
  const told = (one: BatchCase) => {
    cases.push(one);
    options.onCase?.(one, { ended: cases.length, total: jobs.length });
  };
  if (request.dryRun) {
    for (const job of jobs) told(caseOf(job, (await isDone(job, team, options)) ? 'made' : 'planned'));
    return report();
  }
  await makeFolder(request.out);
  const alone = <T>(work: () => Promise<T>) => (request.shard ? work() : withLock(request.out, work));
  await alone(async () => {
    const keep = () =>
      writeAtomic(summaryPath(request), `${JSON.stringify({ schemaVersion: 1, ...report() }, null, 2)}\n`);
    const queue = [...jobs];
    const work = async (_: unknown, number: number) => {
      const labeller = new Labeller();
      try {
        for (let job = queue.shift(); job; job = queue.shift()) {
          options.signal?.throwIfAborted();
          told(await labelled(job, labeller, teamOf(team, number), options));
          await keep();
        }
      } finally {
        labeller.dismiss();
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: processes }, work));
    await keep();
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  });
  return report();
}

/** What all scans of a batch have in common. */
interface Team {
  request: BatchRequest;
  /** The model's hash, where it is needed. */
  model: string | null;
  processes: number;
  /** GPUs that are dealt out to the processes. */
  devices: readonly string[];
}

/** The team as one of its processes sees it: with the GPU that is its own. */
function teamOf(team: Team, process: number): Team {
  const device = team.devices[process % team.devices.length];
  return device === undefined ? team : { ...team, request: { ...team.request, device } };
}

async function labelled(job: BatchJob, labeller: Labeller, team: Team, options: BatchOptions): Promise<BatchCase> {
  const started = performance.now();
  if (await isDone(job, team, options)) return caseOf(job, 'made');
  try {
    await makeFolder(dirname(job.output));
  } catch (error) {
    if (!isPulmoavError(error)) throw error;
    const { code, message, hint = null } = error;
    return { ...caseOf(job, 'failed'), error: { code, message, hint } };
  }
  const onProgress = (progress: Progress) => {
    const { stage, ...at } = progress;
    options.onProgress?.({ ...at, stage: `${job.name}: ${stage}` });
  };
  const outcome = await labeller.label(shared(job, team), options.signal, onProgress);
  return { ...caseOf(job, 'done'), seconds: (performance.now() - started) / 1000, ...endOf(outcome) };
}

function endOf(outcome: Outcome): Pick<BatchCase, 'status'> & Partial<BatchCase> {
  if ('failure' in outcome) return { status: 'failed', error: outcome.failure };
  const { targets, warnings } = outcome.report;
  return { status: 'done', targets, warnings };
}

function caseOf({ name, inputs, output }: BatchJob, status: BatchCase['status']): BatchCase {
  return { name, inputs, output, status, error: null, seconds: null, targets: [], warnings: [] };
}

/** A scan's job with its process's share of threads and memory. */
function shared(job: BatchJob, { request, processes }: Team): SegmentJob {
  const {
    inputs: _,
    out: _out,
    format: _format,
    resume: _resume,
    overwrite: _overwrite,
    shard: _shard,
    ...rest
  } = request;
  const { processes: _processes, dryRun: _dryRun, devices: _devices, ...asked } = rest;
  const { threads = defaultThreads(), maxMemory, prompts } = asked;
  return {
    ...asked,
    input: job.inputs,
    output: job.output,
    prompts: job.prompts ?? prompts,
    threads: Math.max(1, Math.floor(threads / processes)),
    maxMemory: maxMemory === undefined ? undefined : Math.floor(maxMemory / processes),
    record: true,
  };
}

/** Whether a scan's labels are there, made of the same things; only asked where that is of use. */
async function isDone(job: BatchJob, team: Team, { signal }: CallOptions): Promise<boolean> {
  if (team.model === null || !existsSync(job.output)) return false;
  const records = await Promise.all(job.inputs.map((input) => inputRecord(input, signal))).catch(() => null);
  signal?.throwIfAborted();
  return records !== null && (await isMade(job.output, labelSource(team.model, records, deciding(shared(job, team)))));
}

/** The model's hash, where it is needed to tell what is made; the model is loaded once to see that it can be. */
async function checkModel(request: BatchRequest, { signal }: CallOptions): Promise<string | null> {
  const { inputs: _, devices: [device = request.device] = [], ...rest } = request;
  using segmenter = await Segmenter.load({ ...loading({ ...rest, device, input: [], output: '' }), signal });
  return request.resume || request.dryRun ? await modelHash(segmenter.directories, signal) : null;
}

function defaultProcesses({ devices, threads = defaultThreads() }: BatchRequest): number {
  if (devices) return devices.length;
  return threads >= 2 && freemem() >= 2 * PROCESS_BYTES ? 2 : 1;
}

function shardOf(jobs: BatchJob[], shard: BatchRequest['shard']): BatchJob[] {
  if (!shard) return jobs;
  const [index, count] = shard;
  return jobs.filter((_, at) => at % count === index - 1);
}

function summaryPath({ out, shard }: BatchRequest): string {
  return join(out, shard ? `batch.${shard[0]}of${shard[1]}.json` : 'batch.json');
}

function refuseOld(jobs: BatchJob[]): void {
  const old = jobs.filter(({ output }) => existsSync(output));
  const [first] = old;
  if (!first) return;
  const others = old.length > 1 ? ` and ${old.length - 1} more` : '';
  throw new UsageError(`"${first.output}"${others} is there already.`, {
    hint: 'Use --resume to go on with what is missing, or --overwrite to make all anew.',
  });
}

function check(request: BatchRequest): void {
  checkOptions(request, REQUEST);
  const { inputs, out, format, shard } = request;
  if (!Array.isArray(inputs) || inputs.length === 0) throw new UsageError('No scan and no folder was given (inputs).');
  checkPath('out', out);
  checkDevices(request);
  if (format !== undefined && !FORMATS.includes(format)) {
    throw new UsageError(`format must be one of ${FORMATS.join(', ')}, but it is ${JSON.stringify(format)}.`);
  }
  if (!shard) return;
  const [index, count] = shard;
  checkInteger('shard: i', index, 1, count);
}
