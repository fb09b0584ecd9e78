import { execFile, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { UsageError } from '../errors.js';
import type { Warning } from '../types.js';
import type { DeviceProbe, WorkingDevice } from './binding.js';
import { checkDevice, loadedAddon, unusable } from './load.js';

/**
 * What networks compute in: 32-bit floats; on a GPU also those with products of values rounded to TF32, or 16-bit ones,
 * whose weights and sums keep 32.
 */
export const PRECISIONS = ['f32', 'tf32', 'bf16'] as const;
export type Precision = (typeof PRECISIONS)[number];

/** Refuses what is no precision, and those of a GPU where there is no code for them. */
export function checkPrecision(precision: string, device: string): void {
  if (!PRECISIONS.some((known) => known === precision))
    throw new UsageError(
      `There is no precision "${precision}"; expected ${PRECISIONS.slice(0, -1).join(', ')} or ${PRECISIONS.at(-1)}.`,
    );
  if (precision !== 'f32' && device === 'cpu')
    throw new UsageError(
      `The CPU computes in f32, not in ${precision}; name a GPU with device, or leave precision out.`,
    );
}

/** The device that work runs on. */
export interface ChosenDevice {
  /** `cpu` or `cuda:N`. */
  name: string;
  /** Why this one. */
  reason: string;
  /** What a user should know: a GPU was to be expected, but is not used. */
  warnings: Warning[];
}

/** What the asking process answers: see `device-probe.ts`. */
export interface ProbeAnswer {
  probe: DeviceProbe;
  /** What `auto`, or the GPU asked for, came to. */
  device: WorkingDevice | null;
  /** Why the GPU asked for cannot be used. */
  refusal: string | null;
}

/** Whether a value is an object with such fields. */
const has = (value: unknown, ...fields: string[]) =>
  typeof value === 'object' && value !== null && fields.every((field) => field in value);
const answerSchema = z.object({
  probe: z.custom<DeviceProbe>((value) => has(value, 'libraries', 'cards')),
  device: z.custom<WorkingDevice>((value) => has(value, 'name')).nullable(),
  refusal: z.string().nullable(),
});

const PROGRAM = fileURLToPath(new URL('./device-probe.js', import.meta.url));
/** Drivers that were asleep take many seconds to wake up on machines with many cards. */
const TIMEOUT_MS = 60_000;
const asking = () => ({
  timeout: TIMEOUT_MS,
  killSignal: 'SIGKILL' as const,
  env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
});
/** What was found, by what was asked for: a driver is asked once a process. */
const found = new Map<string, ChosenDevice>();

/**
 * The device for what was asked for. A GPU is first tried in a process of its own, so that a driver that breaks or
 * hangs takes no caller with it.
 *
 * @throws DeviceError where a GPU was asked for by name and cannot be used; `signal.reason` when cancelled
 */
export async function chooseDevice(asked = 'auto', signal?: AbortSignal): Promise<ChosenDevice> {
  checkDevice(asked);
  if (asked === 'cpu') return { name: 'cpu', reason: 'it was asked for', warnings: [] };
  const { cpuReason, cudaIsBroken } = loadedAddon();
  if (cpuReason !== null) return cpu(cpuReason, cudaIsBroken);
  const known = found.get(asked);
  if (known) return known;
  const chosen = chosenOf(asked, await ask(asked, signal));
  found.set(asked, chosen);
  return chosen;
}

/** Where a network runs: one device, or several GPUs that share the work. */
export interface Asked {
  /** `auto`, `cpu` or `cuda[:N]`. @default 'auto' */
  device?: string | undefined;
  /** GPUs that share the work, `cuda:N`, each once; in the place of `device`. */
  devices?: readonly string[] | undefined;
}

/** Refuses a list of devices that is none, and one beside a single device. */
export function checkDevices({ device = 'auto', devices }: Asked): void {
  if (devices === undefined) {
    checkDevice(device);
    return;
  }
  const isRight = Array.isArray(devices) && devices.every((name) => /^cuda:\d{1,9}$/.test(name));
  if (!isRight || devices.length === 0 || new Set(devices).size < devices.length)
    throw new UsageError(`devices is "${devices}"; expected GPUs such as cuda:0,cuda:1, each once.`);
  if (device !== 'auto') throw new UsageError('device and devices do not go together; name one of them.');
  for (const name of devices) checkDevice(name);
}

/**
 * As {@link chooseDevice}, of one device or several; the first is where small things are done.
 *
 * @throws as {@link chooseDevice}; UsageError for a list that is none
 */
export async function chooseDevices(asked: Asked, signal?: AbortSignal): Promise<ChosenDevice & { all: string[] }> {
  checkDevices(asked);
  const names = asked.devices ?? [asked.device];
  const chosen: ChosenDevice[] = [];
  for (const name of names) chosen.push(await chooseDevice(name, signal));
  const [first] = chosen as [ChosenDevice];
  const all = chosen.map(({ name }) => name);
  return { name: all.join(','), reason: first.reason, warnings: first.warnings, all };
}

/** What this machine has; where it cannot even be asked, the reason. */
export function probeDevices(): DeviceProbe {
  const { stdout, error, signal } = spawnSync(process.execPath, [PROGRAM], asking());
  const answer = heard(String(stdout ?? ''), error ?? { signal });
  if (typeof answer !== 'string') return answer.probe;
  return { compiled: true, driver: null, libraries: [], cards: [], reason: answer };
}

function chosenOf(asked: string, answer: ProbeAnswer | string): ChosenDevice {
  const problem = typeof answer === 'string' ? `${asked} cannot be used: ${answer}` : answer.refusal;
  if (asked !== 'auto' && problem !== null) throw unusable(problem);
  if (typeof answer === 'string') return cpu(answer, true);
  if (answer.device === null) return cpu(problem ?? '', true);
  const { name, reason } = answer.device;
  return name === 'cpu' ? cpu(reason, true) : { name, reason, warnings: [] };
}

/** The CPU where something better was asked for; `aloud` where it could be expected. */
function cpu(reason: string, aloud: boolean): ChosenDevice {
  const warning = { code: 'CPU_INSTEAD', message: `the CPU is used, since ${reason}` };
  return { name: 'cpu', reason, warnings: aloud ? [warning] : [] };
}

/** What the asking process says, or why it says nothing. */
function ask(asked: string, signal: AbortSignal | undefined): Promise<ProbeAnswer | string> {
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [PROGRAM, asked], { ...asking(), signal }, (error, text) => {
      if (signal?.aborted) reject(signal.reason);
      else resolve(heard(text, error));
    });
  });
}

/** How a process ended. */
interface Ending {
  code?: unknown;
  signal?: string | null | undefined;
  killed?: boolean | undefined;
  message?: string;
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

/**
 * The last line, if it is the one that our own program of the same version writes; what a driver's library wrote before
 * it, and how the process ended after it, does not matter.
 */
function heard(text: string, ending: Ending | null): ProbeAnswer | string {
  const line = text.slice(text.lastIndexOf('\n', text.length - 2) + 1);
  if (line.startsWith('{"probe":') && line.endsWith('\n')) {
    const answer = answerSchema.safeParse(parsed(line));
    if (answer.success) return answer.data;
  }
  const { signal, killed, code, message = 'it said nothing' } = ending ?? {};
  if (code === 'ETIMEDOUT' || killed) {
    return `the CUDA driver did not answer within ${TIMEOUT_MS / 1000} s; restart the machine or install the driver again`;
  }
  if (signal) return `the CUDA driver broke when it was asked (${signal}); install it again`;
  return `the CUDA driver could not be asked (${message.split('\n')[0]})`;
}
