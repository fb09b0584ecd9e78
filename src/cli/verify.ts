import type { Command } from 'commander';
import type { DatasetFinding } from '../dataset.js';
import { verify } from '../verify.js';
import { interruption, PARTIAL_FAILURE } from './exit.js';
import { printJson, printLine, progressPrinter } from './output.js';

export function addVerify(program: Command): void {
  program
    .command('verify')
    .description('look for what is wrong in a data set before training on it')
    .argument('<dataset>', 'folder with imagesTr, labelsTr and dataset.json')
    .action(async (dataset: string, { json }: { json?: boolean }) => {
      const printer = progressPrinter();
      const options = { signal: interruption, onProgress: printer.onProgress };
      const found = await verify(dataset, options).finally(printer.done);
      if (!found.ok) process.exitCode = PARTIAL_FAILURE;
      if (json) return printJson(found);
      table(found.findings);
      const errors = found.findings.filter(({ severity }) => severity === 'error').length;
      const counts = `${errors} to mend, ${found.findings.length - errors} to look at`;
      printLine(`${found.cases} cases: ${found.findings.length === 0 ? 'nothing found' : counts}`);
    });
}

/** One row a finding: case, code, what, what to do. */
function table(findings: DatasetFinding[]): void {
  const rows = findings.map(({ case: name, severity, code, message, remedy }) => [
    name ?? '(all)',
    severity === 'error' ? code : `${code} (look)`,
    `${message}: ${remedy}`,
  ]);
  if (rows.length > 0) rows.unshift(['case', 'code', 'what: what to do']);
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows) printLine(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  '));
}
