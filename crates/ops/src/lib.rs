//! 3-D operators for candle, forward and backward
