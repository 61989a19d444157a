/** Values of the annotations that add to outlierDetection. */

/** What is wrong with an annotation's value; undefined: nothing. */
export function ejectOneComplaint(value: string): string | undefined {
  return value === 'true' || value === 'false' ? undefined : `"${value}" is not true or false`
}

export function failurePercentageComplaint(value: string): string | undefined {
  return between(value, 1, 100)
}

export function successRateComplaint(value: string): string | undefined {
  return between(value, 1, 10_000)
}

function between(value: string, least: number, most: number): string | undefined {
  const read = /^\d{1,5}$/.test(value) ? Number(value) : -1
  return read >= least && read <= most
    ? undefined
    : `"${value}" is not a whole number from ${least} to ${most}`
}

/** A value that was complained about counts as not written. */
export function numberOf(
  value: string | undefined,
  complaint: (value: string) => string | undefined,
): number {
  return value === undefined || complaint(value) !== undefined ? 0 : Number(value)
}
