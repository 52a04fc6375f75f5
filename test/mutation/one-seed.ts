import fc from 'fast-check';

/** A mutant's fate is to depend on the mutant alone; and the first counter-example kills as well as the smallest. */
fc.configureGlobal({ seed: 20_260_501, endOnFailure: true });
