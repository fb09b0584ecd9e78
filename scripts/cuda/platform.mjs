/** The platform as npm packages of addons name it, `linux-x64-gnu` for instance; `src/native/load.ts` says the same. */
export function platform() {
  const libc = process.report.getReport().header.glibcVersionRuntime ? '-gnu' : '-musl';
  return `${process.platform}-${process.arch}${process.platform === 'linux' ? libc : ''}`;
}
