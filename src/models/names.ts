import { UsageError } from '../errors.js';

const OWNER_AND_NAME = /^[A-Za-z0-9][\w.-]{0,95}\/[A-Za-z0-9][\w.-]{0,95}$/;
const REVISION = /^[A-Za-z0-9][\w.-]*(\/[A-Za-z0-9][\w.-]*)*$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** Whether a text is a name on the hub: `owner/name`. */
export function isHubName(text: string): boolean {
  return OWNER_AND_NAME.test(text) && !text.includes('--') && !text.includes('..');
}

/** Whether a text is a full commit hash. */
export function isCommit(text: string): boolean {
  return COMMIT.test(text);
}

/** Refuses what is no `owner/name`. */
export function checkHubName(text: unknown): asserts text is string {
  if (typeof text === 'string' && isHubName(text)) return;
  throw new UsageError(
    `A model on the hub has a name such as openai/clip-vit-base-patch32, but this is ${show(text)}.`,
  );
}

/** Refuses what is no branch, tag, `refs/pr/N` or commit; what passes is safe as a path below a folder. */
export function checkRevision(text: unknown): asserts text is string {
  if (typeof text === 'string' && text.length < 256 && REVISION.test(text) && !text.includes('..')) return;
  throw new UsageError(`A revision is a branch, a tag, refs/pr/N or a commit, but this is ${show(text)}.`);
}

function show(value: unknown): string {
  return JSON.stringify(value) ?? String(value);
}
