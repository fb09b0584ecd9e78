import { addAnatomy } from './anatomy.js';
import { addBatch } from './batch.js';
import { addCheck } from './check.js';
import { addCompare } from './compare.js';
import { addCompletion } from './completion.js';
import { addDemo } from './demo.js';
import { addDoctor } from './doctor.js';
import { addEvaluate } from './evaluate.js';
import { addExport } from './export.js';
import { addImport } from './import.js';
import { addInfo } from './info.js';
import { addModels } from './models.js';
import { addPhantom } from './phantom.js';
import { addPlan } from './plan.js';
import { addSegment } from './segment.js';
import { addSurface } from './surface.js';
import { addText } from './text.js';
import { addTidy } from './tidy.js';
import { addTrain } from './train.js';
import { addTree } from './tree.js';
import { addVerify } from './verify.js';

/** Every command, in the order in which the help lists them. */
export const all = [
  addSegment,
  addBatch,
  addSurface,
  addAnatomy,
  addTree,
  addTidy,
  addCheck,
  addVerify,
  addPlan,
  addTrain,
  addEvaluate,
  addCompare,
  addPhantom,
  addImport,
  addExport,
  addInfo,
  addText,
  addModels,
  addDoctor,
  addDemo,
  addCompletion,
];
