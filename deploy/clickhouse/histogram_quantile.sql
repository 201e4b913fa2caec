-- SigNoz asks ClickHouse for percentiles of histograms with histogramQuantile(bounds, counts, q) and expects a program
-- for it that is downloaded when the server starts. As an SQL function it needs no download.
-- Same results as Prometheus' histogram_quantile: bounds in any order with cumulative counts, linear inside a bucket,
-- the lowest bucket from 0, the last finite bound where the quantile lies above it; NaN without observations or +Inf.
CREATE OR REPLACE FUNCTION histogramQuantile AS (bounds, counts, q) ->
    arrayMap(
        (le, le_counts) -> arrayMap(
            cumulative -> arrayMap(
                (rank, found) -> multiIf(
                    isNaN(q), nan,
                    q < 0, -inf,
                    q > 1, inf,
                    length(le) < 2 OR NOT has(le, inf) OR cumulative[-1] = 0, nan,
                    found = 0, le[-2],
                    found = 1 AND le[1] <= 0, le[1],
                    found = 1, le[1] * rank / cumulative[1],
                    le[found - 1] + (le[found] - le[found - 1])
                        * (rank - cumulative[found - 1]) / (cumulative[found] - cumulative[found - 1])
                ),
                [q * cumulative[-1]],
                [arrayFirstIndex(n -> n >= q * cumulative[-1], arraySlice(cumulative, 1, -1))]
            )[1],
            [arrayMap(i -> arrayMax(arraySlice(le_counts, 1, i)), arrayEnumerate(le_counts))]
        )[1],
        [arraySort(arrayDistinct(arrayMap(x -> toFloat64(x), bounds)))],
        [arrayMap(
            at -> arraySum(arrayMap((x, n) -> if(toFloat64(x) = at, toFloat64(n), 0.), bounds, counts)),
            arraySort(arrayDistinct(arrayMap(x -> toFloat64(x), bounds)))
        )]
    )[1];
