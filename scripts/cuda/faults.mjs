// Faults planted in the kernels, one at a time: what the tests are tested with. Each names its file below
// crates/ops/src, what is replaced there by what, and a test that has to fail: its binary and its name. Waits for events
// and copies of a recording stand in Rust: the double leaves one out instead.
const convolutions = ['conformance', 'convolutions_and_pools'];
const others = ['conformance', 'norms_activations_attention_and_resampling'];
const windowSums = ['windows', 'a_card_sums_as_the_host_does'];
const windowCuts = ['windows', 'a_card_cuts_the_host_s_windows'];
const thinning = ['updates', 'a_card_thins_as_the_host_does'];
const labelling = ['updates', 'a_card_labels_what_nobody_did_as_the_host_does'];
const lookingUp = ['updates', 'a_card_looks_targets_up_as_the_host_does'];
const halving = ['updates', 'a_card_halves_targets_as_the_host_does'];
const exchange = ['ranks', 'sums_begin_before_the_last_gradient_is_computed'];
const recording = ['repeated', 'a_card_repeats_what_was_recorded'];
const channels = ['pulmoav_segment', 'on_card::tests::a_card_sees_what_the_host_does'];
const decisions = ['pulmoav_segment', 'restore::card::tests::a_card_decides_as_the_host_does'];
const walls = ['pulmoav_segment', 'restore::card::tests::walls_follow_the_scan_as_on_the_host'];
const beyond = ['pulmoav_segment', 'restore::card::tests::values_beyond_the_box_are_none'];
const rounding = ['card', 'values_are_rounded_to_tf32_by_name_alone'];
const wholeNumbers = ['card', 'whole_numbers_give_the_cpu_s_bits'];

function fault(name, file, test, from, to) {
  return { name, file, test, from, to };
}

/** A fault of what the program asks the driver for: the double leaves it out. */
function leftOut(name, file, test, settings) {
  return { name, file, test, settings };
}

export const faults = [
  fault(
    'a wait too short',
    'conv3d/tensor.cu',
    wholeNumbers,
    'cp_async_wait<STAGES - 2>()',
    'cp_async_wait<STAGES - 1>()',
  ),
  fault(
    'no barrier in the pipeline',
    'conv3d/tensor.cu',
    wholeNumbers,
    'cp_async_wait<STAGES - 2>();\n        __syncthreads();',
    'cp_async_wait<STAGES - 2>();',
  ),
  fault(
    'a stage overwritten while it is read',
    'conv3d/tensor.cu',
    wholeNumbers,
    'load((step + STAGES - 1) % STAGES);',
    'load(step % STAGES);',
  ),
  fault('a commit forgotten', 'conv3d/tensor.cu', wholeNumbers, 'cp_async_commit();\n        work', 'work'),
  fault('fragments of b swapped', 'conv3d/tensor.cu', wholeNumbers, 'a[m], b[0], b[1]', 'a[m], b[1], b[0]'),
  fault(
    'rows of a by the wrong lanes',
    'conv3d/tensor.cu',
    wholeNumbers,
    'm * 16 + lane % 16, k',
    'm * 16 + lane / 2, k',
  ),
  fault(
    'the column of a sum',
    'conv3d/tensor.cu',
    wholeNumbers,
    'n * 8 + lane % 4 * 2, sums',
    'n * 8 + lane % 8, sums',
  ),
  fault(
    'a tap too early',
    'conv3d/tensor.cu',
    wholeNumbers,
    'if (++x < taps[2]) return;',
    'if (++x <= taps[2]) return;',
  ),
  fault(
    'the edge of the input unseen',
    'conv3d/tensor.cu',
    wholeNumbers,
    'some && gathered[i].has(cursor.tap)',
    'some',
  ),
  fault('rows beyond the end stored', 'conv3d/tensor.cu', wholeNumbers, 'm0 + row >= rows || channel', 'channel'),
  fault('the second bias', 'conv3d/tensor.cu', wholeNumbers, 'bias[channel + 1]', 'bias[channel]'),
  fault('the part of a gradient', 'conv3d/tensor.cu', wholeNumbers, 'int64_t next = begin;', 'int64_t next = 0;'),
  fault('padding unseen', 'conv3d/convolution.cuh', convolutions, 'p.step[1] * at.y + p.origin[1]', 'p.step[1] * at.y'),
  fault(
    'the last axis unbounded',
    'conv3d/convolution.cuh',
    convolutions,
    'static_cast<unsigned>(p.input[2]);',
    '0xffffffffu;',
  ),
  fault(
    'channels of the second source',
    'conv3d/kernels.cu',
    wholeNumbers,
    'p.b_channels + channel - p.a_channels',
    'p.b_channels + channel',
  ),
  fault(
    'no barrier before the products',
    'conv3d/kernels.cu',
    convolutions,
    'weights[i / BN][i % BN] = value;\n        }\n        __syncthreads();',
    'weights[i / BN][i % BN] = value;\n        }',
  ),
  fault(
    'no barrier behind the products',
    'conv3d/kernels.cu',
    convolutions,
    'sums[i][j] += left[i] * right[j];\n        }\n        __syncthreads();',
    'sums[i][j] += left[i] * right[j];\n        }',
  ),
  fault('a row beyond the last', 'conv3d/kernels.cu', convolutions, 'if (row >= rows) break;', ''),
  fault(
    'a barrier that some leave out',
    'cuda/kernels.cu',
    convolutions,
    '__syncthreads();\n    if (c.lane',
    'if (c.lane',
  ),
  fault(
    'the last row left out',
    'cuda/columns.cuh',
    others,
    'min(c.begin + span, rows)',
    'min(c.begin + span, rows - 1)',
  ),
  fault(
    'half a warp summed',
    'cuda/device.cuh',
    others,
    'int bit = 16; bit > 0; bit /= 2) value +=',
    'int bit = 8; bit > 0; bit /= 2) value +=',
  ),
  fault('spreads joined as equals', 'norm/kernels.cu', others, 'share = b.count / count;', 'share = 0.5f;'),
  fault(
    'no barrier before the table is read',
    'norm/kernels.cu',
    others,
    'table[threadIdx.x] = s;\n    __syncthreads();',
    'table[threadIdx.x] = s;',
  ),
  fault('the count of the last part', 'norm/kernels.cu', others, 'min(span, s.rows - part * span)', 'span'),
  fault(
    'lanes that stay away',
    'norm/kernels.cu',
    others,
    'Spread total = {};',
    'if (threadIdx.x > 29) return;\n    Spread total = {};',
  ),
  fault('a value beyond the last', 'norm/kernels.cu', others, 'if (i >= count) return;', ''),
  fault('the wrong sample', 'norm/kernels.cu', others, 'i / of_sample * channels + channel', 'channel'),
  fault('the mean left in', 'layer_norm/kernels.cu', others, 'load(x + c) - mean;', 'load(x + c);'),
  fault('a warp beyond the rows', 'layer_norm/kernels.cu', others, 'if (row >= rows) return;', ''),
  fault('a highest score forgotten', 'attention/kernels.cu', others, 'highest = top;', ''),
  fault(
    'a shuffle from half the warp',
    'attention/kernels.cu',
    others,
    '__shfl_sync(~0u, weight, j)',
    '__shfl_sync(0xffffu, weight, j)',
  ),
  fault('keys beyond the last', 'attention/kernels.cu', others, 'key < s.keys && is_seen', 'is_seen'),
  fault(
    'a window one voxel off',
    'pool3d/kernels.cu',
    convolutions,
    'y * w.kernel[1]) * w.input[2]',
    'y) * w.input[2]',
  ),
  fault('the last of equals wins', 'pool3d/kernels.cu', convolutions, 'value > best ||', 'value >= best ||'),
  fault('readers too few', 'upsample3d/kernels.cu', others, '* scale - 0.5f) + 3)', '* scale - 0.5f))'),
  fault(
    'a window not turned back',
    'window/kernels.cu',
    windowSums,
    'w.mirrored[axis] ? w.size[axis] - 1 - at[axis] : at[axis]',
    'at[axis]',
  ),
  fault('a window beyond the grid', 'window/kernels.cu', windowSums, 'if (!v.inside) return;', ''),
  fault('weights turned around', 'window/kernels.cu', windowSums, 'weights[v.turned_back]', 'weights[i / w.channels]'),
  fault('a weight a channel', 'window/kernels.cu', windowSums, 'if (channel == 0) total', 'total'),
  fault(
    'the second window of several',
    'window/kernels.cu',
    windowSums,
    'load(answer + first_value + i)',
    'load(answer + i)',
  ),
  fault('sums never rounded', 'window/kernels.cu', windowSums, 'return half ? round_to_half(x) : x;', 'return x;'),
  fault(
    'a product that is not rounded',
    'window/kernels.cu',
    windowSums,
    '__fadd_rn(*sum, product)',
    '__fmaf_rn(weight, load(answer + first_value + i), *sum)',
  ),
  fault('the side not turned', 'window/kernels.cu', windowCuts, 'if (w.mirrored[2]) value = -value;', ''),
  fault(
    'the side beyond the grid',
    'window/kernels.cu',
    windowCuts,
    'min(max(v.place[2], 0), w.grid[2] - 1)',
    'min(v.place[2], w.grid[2] - 1)',
  ),
  fault('the far corner', 'upsample3d/kernels.cu', others, 'next ? 1.0f - p[axis].first', 'next ? p[axis].first'),
  fault('a neighbour beyond the map', 'skeleton/kernels.cu', thinning, 'if (!has(m, p, axis, step)) continue;', ''),
  fault('the last of equal neighbours', 'skeleton/kernels.cu', thinning, 'if (other < least)', 'if (other <= least)'),
  fault(
    'the last of equal voxels dilated',
    'skeleton/kernels.cu',
    thinning,
    'if (eroded[at] > most)',
    'if (eroded[at] >= most)',
  ),
  fault(
    'later rounds of the skeleton unseen',
    'skeleton/kernels.cu',
    thinning,
    'for (int other = ROUNDS - 1; other > round; other--) slope *= 1.0f - deltas[other * count + i];',
    '',
  ),
  fault(
    'a slope to the wrong neighbour',
    'skeleton/kernels.cu',
    thinning,
    'from[i - p.stride[axis]] == 2 + 2 * axis',
    'from[i - p.stride[axis]] == 1 + 2 * axis',
  ),
  fault(
    'a slope to the mirrored neighbour',
    'skeleton/kernels.cu',
    thinning,
    '(number_of(-x) * 3 + number_of(-y)) * 3 + number_of(-z)',
    '(number_of(x) * 3 + number_of(-y)) * 3 + number_of(-z)',
  ),
  fault(
    'no barrier before sums of skeletons',
    'skeleton/kernels.cu',
    thinning,
    'shared[1][thread] = right;\n    __syncthreads();',
    'shared[1][thread] = right;',
  ),
  fault(
    'the side of a map unseen',
    'pseudo/kernels.cu',
    labelling,
    ' || ((role & ROLE_SIDED) && (role & RIGHT) != (code & RIGHT))',
    '',
  ),
  fault(
    'the reference overruled',
    'pseudo/kernels.cu',
    labelling,
    'if (is_known(code, knows, reference)) return place | reference | ACCEPTED;',
    '',
  ),
  fault(
    'a threshold of another class',
    'pseudo/kernels.cu',
    labelling,
    'found.confidence >= thresholds[label]',
    'found.confidence >= thresholds[0]',
  ),
  fault(
    'no barrier before counts are joined',
    'pseudo/kernels.cu',
    labelling,
    'shared[number][thread] = seen[number];\n    __syncthreads();',
    'shared[number][thread] = seen[number];',
  ),
  fault('half a block that is too little', 'loss/kernels.cu', halving, 'known * 2 >= voxels', 'known * 2 > voxels'),
  fault('the table of the first sample', 'loss/kernels.cu', lookingUp, 'voxel / voxels * maps + i % maps', 'i % maps'),
  fault('a line beside its target', 'loss/kernels.cu', lookingUp, 'byte == FULL && (code & line)', '(code & line)'),
  fault('means cut off', 'loss/kernels.cu', halving, '(sum + known / 2) / known', 'sum / known'),
  leftOut('a bucket sent before it is packed', 'ranks/cuda.rs', exchange, { EMU_LAZY: 'first', EMU_FORGET_WAIT: '1' }),
  leftOut('the last bucket sent before it is packed', 'ranks/cuda.rs', exchange, { EMU_LAZY: 'first', EMU_FORGET_WAIT: '6' }),
  leftOut('an answer left in the graph', 'device/graph.rs', recording, { EMU_FORGET_COPY: '1' }),
  leftOut('an input not copied before the launch', 'device/graph.rs', recording, { EMU_FORGET_COPY: '3' }),
  leftOut('sums taken before they are there', 'ranks/cuda.rs', exchange, { EMU_LAZY: '1', EMU_FORGET_WAIT: '12' }),
  fault(
    'values cut short instead of rounded to TF32',
    'conv3d/tensor.cu',
    rounding,
    'for (int i = 0; i < 4; i++) a[m][i] = round_to_tf32(a[m][i]);',
    '',
  ),
  fault(
    'a turned value cut short',
    'conv3d/tensor.cu',
    rounding,
    'return round_to_tf32(reinterpret_cast<const uint32_t*>(chunk)[column % 4]);',
    'return reinterpret_cast<const uint32_t*>(chunk)[column % 4];',
  ),
  fault(
    'fragments of TF32 by the wrong lanes',
    'conv3d/tensor.cu',
    wholeNumbers,
    'k * 8 + i % 2 * 4 + lane % 4, n0',
    'k * 8 + i % 2 * 4 + lane / 8, n0',
  ),
  fault(
    'one weight for both',
    'cuda/lines.cuh',
    channels,
    'line.weights[2 * at + 1], value(high)',
    'line.weights[2 * at], value(high)',
  ),
  fault(
    'an interpolation that is not rounded',
    'cuda/lines.cuh',
    channels,
    'return __fadd_rn(__fmul_rn(line.weights[2 * at], value(low)), __fmul_rn(line.weights[2 * at + 1], value(high)));',
    'return __fmaf_rn(line.weights[2 * at], value(low), __fmul_rn(line.weights[2 * at + 1], value(high)));',
  ),
  fault(
    'the step along y',
    'cuda/lines.cuh',
    channels,
    'static_cast<int64_t>(y) * s.step[1]',
    'static_cast<int64_t>(y) * s.step[0]',
  ),
  fault('the table of another axis', 'cuda/lines.cuh', channels, 'places[t.size[0] + at[1]]', 'places[at[1]]'),
  fault('a place beyond the table', 'cuda/lines.cuh', channels, 'if (z < 0 || y < 0 || x < 0) return 0;', ''),
  fault('painted where it is not to be', 'resample/kernels.cu', channels, '!= 0) == (where != 0)', '!= 0) == true'),
  fault(
    'a window without its low end',
    'resample/kernels.cu',
    channels,
    '__fsub_rn(values[at], windows[2 * channel])',
    'values[at]',
  ),
  fault('a window above 1', 'resample/kernels.cu', channels, 'fminf(share, 1.0f)', 'share'),
  fault('the line of another voxel', 'resample/kernels.cu', channels, 'line[at % width]', 'line[i % width]'),
  fault('the last of the highest', 'cuda/lines.cuh', decisions, 'i <= high; i++) most', 'i < high; i++) most'),
  fault(
    'narrower maps that are not there',
    'labels/kernels.cu',
    decisions,
    '(above & rules[map].narrower)',
    'rules[map].narrower',
  ),
  fault('the last of equal maps', 'labels/kernels.cu', decisions, 'if (value > most) {', 'if (value >= most) {'),
  fault(
    'maps of the other side',
    'labels/kernels.cu',
    decisions,
    '(code & rules[map].mask) == rules[map].code && ',
    '',
  ),
  fault('values beyond the box', 'labels/kernels.cu', beyond, 'if (!inside) return 0.0f;', ''),
  fault('a label further away', 'labels/kernels.cu', walls, 'if (nearest != 0 && near[step].rank > rank) break;', ''),
  fault('the highest of equally near labels', 'labels/kernels.cu', walls, 'other >= nearest', 'other <= nearest'),
  fault(
    'walls outside of the lungs',
    'labels/kernels.cu',
    walls,
    'if (look_up(t, table, places, at) & walls.mask) {',
    'if (true) {',
  ),
];
