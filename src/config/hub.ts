/** How models are pulled where neither options nor the environment say otherwise. */
export const hub = {
  /** Whom to ask. */
  endpoint: 'https://huggingface.co',
  /** Branch, tag or commit. */
  revision: 'main',
  /** Silence after which a transfer counts as broken, ms. */
  timeoutMs: 30_000,
  /** Further tries of a transfer that broke off. */
  retries: 4,
  /** Wait before the first further try, ms; it doubles with each. */
  backoffMs: 500,
  /** A try that brought this many bytes makes up for those that failed before it. */
  progressBytes: 8 << 20,
  /** Most redirects a request follows. */
  redirects: 8,
};

/** Repositories that keep their safetensors on another revision than `main`. */
export const sideRevisions: Readonly<Record<string, string>> = {
  'openai/clip-vit-base-patch32': 'refs/pr/15',
};
